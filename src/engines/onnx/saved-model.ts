/** The model of a saved state as named tensors, for whoever passes it on; and the engine's own arithmetic of merging. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { Adapter } from '../../checkpoint/adapter-directory.ts';
import type { Model } from '../../checkpoint/model-directory.ts';
import type { Tensor } from '../../checkpoint/safetensors.ts';
import { adapterLayoutOf, layoutOf, type ParameterLayout } from './model/parameters.ts';
import { AdapterMerge } from './training/adapter.ts';
import { ENGINE_FILE, named, readSnapshotModel } from './training/snapshot.ts';

/** Whether `policy.save` wrote into a folder. */
export function isSaved(folder: string): boolean {
  return existsSync(path.join(folder, ENGINE_FILE));
}

/**
 * The weights of a saved folder, without the adapter, and the adapter if there is one.
 * @throws UserError as `readSnapshotModel` does
 */
export async function readSavedModel(folder: string): Promise<Model & { readonly adapter?: Adapter }> {
  const { config, weights, adapter } = await readSnapshotModel(folder);
  const model = { config, weights: named(layoutOf(config), weights) };
  if (!adapter) return model;
  const { rank, alpha, values } = adapter;
  return { ...model, adapter: { rank, alpha, weights: named(adapterLayoutOf(config, rank), values) } };
}

/** W + (alpha / rank) B A of every linear layer, to the bit as `mergeAdapter` of the engine computes it. */
export async function mergedWeights({ config, weights }: Model, adapter: Adapter): Promise<Map<string, Tensor>> {
  const { rank, alpha } = adapter;
  const layout = layoutOf(config);
  const merge = new AdapterMerge(config, availableParallelism());
  try {
    const merged = new Float32Array(layout.total);
    const values = flat(adapterLayoutOf(config, rank), adapter.weights);
    await merge.add(flat(layout, weights), { rank, alpha, values }, merged);
    return named(layout, merged);
  } finally {
    await merge.close();
  }
}

function flat(layout: ParameterLayout, tensors: ReadonlyMap<string, Tensor>): Float32Array {
  const values = new Float32Array(layout.total);
  for (const { name, offset } of layout.entries) values.set(tensors.get(name)!.data, offset);
  return values;
}
