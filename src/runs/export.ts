/**
 * What a run, a checkpoint or a model directory holds, written as Hugging Face's libraries keep it: the merged model, or
 * the adapter alone in PEFT's format.
 */
import { readFile, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { UserError } from '../base/errors.ts';
import { type Adapter, readAdapter, writeAdapter } from '../checkpoint/adapter-directory.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { type HubOptions, locateModel } from '../checkpoint/hub-model.ts';
import { readConfig, readWeights, type WriteOptions, writeModel } from '../checkpoint/model-directory.ts';
import type { StoredType } from '../checkpoint/safetensors.ts';
import { readTokenizerFiles, type TokenizerFiles } from '../checkpoint/tokenizer-files.ts';
import { adapterLayoutOf, layoutOf, viewOf } from '../engines/onnx/model/parameters.ts';
import { AdapterMerge, type AdapterState } from '../engines/onnx/training/adapter.ts';
import { named, readSnapshotModel } from '../engines/onnx/training/snapshot.ts';
import { BASE_POLICY } from '../evolve/open.ts';
import { Checkpoints, splitStage } from './checkpoints.ts';
import { RunFiles } from './run-files.ts';

/** A model ready to be written. */
export interface ExportSource {
  /** Where it lies: for a run the checkpoint of the stage. */
  readonly folder: string;
  readonly config: ModelConfig;
  /** Flat, as `layoutOf(config)` says; without the adapter. */
  readonly weights: Float32Array;
  readonly adapter?: AdapterState;
  /** What the weights without the adapter are, when they are a model that can be named. */
  readonly base: { readonly name: string; readonly revision?: string };
  readonly tokenizer?: TokenizerFiles;
  /** generation_config.json of a model without a tokenizer. */
  readonly generation?: string;
}

/**
 * Opens a run directory (`RUN` or `RUN#STAGE`), a checkpoint's folder, a Hugging Face model directory or `hf:…`.
 * @param adapter a PEFT folder, to be put on a model that brings none
 * @throws UserError for anything else, and for what the readers of these refuse
 */
export async function openExport(place: string, adapter?: string, hub: HubOptions = {}): Promise<ExportSource> {
  const { folder: located, place: name } = await locateModel(place, hub);
  const folder = await checkpointOf(located);
  if (await exists(path.join(folder, 'engine.json'))) {
    if (adapter !== undefined) throw new UserError(`--adapter: ${folder} is a checkpoint, which keeps its own`);
    const model = await readSnapshotModel(folder);
    const tokenizer = await tokenizerOfRun(folder, hub);
    return { folder, ...model, base: { name: path.resolve(folder) }, ...(tokenizer && { tokenizer }) };
  }
  const config = await readConfig(folder);
  const layout = layoutOf(config);
  // Not before the weights bear the configuration out.
  let weights: Float32Array | undefined;
  await readWeights(folder, config, (tensor) => {
    weights ??= new Float32Array(layout.total);
    return viewOf(layout, weights, tensor);
  });
  const tokenizer = (await exists(path.join(folder, 'tokenizer.json'))) ? await readTokenizerFiles(folder) : undefined;
  // Beside a tokenizer it comes with that.
  const generation = tokenizer ? undefined : await readGeneration(folder);
  return {
    folder,
    config,
    weights: weights!,
    ...(generation !== undefined && { generation }),
    ...(adapter !== undefined && { adapter: flatAdapter(config, await readAdapter(adapter, config)) }),
    base: baseOf(folder, name),
    ...(tokenizer && { tokenizer }),
  };
}

/** Writes the model, the adapter added to its weights by the engine's own arithmetic. */
export async function exportMerged(source: ExportSource, folder: string, options: WriteOptions): Promise<void> {
  const { config, tokenizer, generation } = source;
  const weights = named(layoutOf(config), await mergedWeights(source));
  const beside = { ...(tokenizer && { tokenizer }), ...(generation !== undefined && { generation }) };
  await writeModel(folder, { config, weights, ...beside }, options);
}

async function mergedWeights({ config, weights, adapter }: ExportSource): Promise<Float32Array> {
  if (!adapter) return weights;
  const merge = new AdapterMerge(config, availableParallelism());
  try {
    const merged = new Float32Array(weights.length);
    await merge.add(weights, adapter, merged);
    return merged;
  } finally {
    await merge.close();
  }
}

/** Writes the adapter alone. Throws a UserError when there is none. */
export async function exportAdapter(source: ExportSource, folder: string, dtype: StoredType): Promise<void> {
  const { config, adapter, base } = source;
  if (!adapter)
    throw new UserError(`${source.folder}: has no adapter`, {
      hint: 'Distillation merges its adapter at the end of each round; leave out --adapter-only to export the whole model.',
    });
  const { rank, alpha, values } = adapter;
  await writeAdapter(folder, { rank, alpha, weights: named(adapterLayoutOf(config, rank), values) }, base, dtype);
}

function flatAdapter(config: ModelConfig, { rank, alpha, weights }: Adapter): AdapterState {
  const layout = adapterLayoutOf(config, rank);
  const values = new Float32Array(layout.total);
  for (const { name, offset } of layout.entries) values.set(weights.get(name)!.data, offset);
  return { rank, alpha, values };
}

function baseOf(folder: string, place: string): ExportSource['base'] {
  const [, name, revision] = /^hf:(.+)@(.+)$/.exec(place) ?? [];
  return name === undefined || revision === undefined ? { name: path.resolve(folder) } : { name, revision };
}

/** The checkpoint of RUN or RUN#STAGE: the training stage that ended last, or the one named. Any other folder as it is. */
async function checkpointOf(place: string): Promise<string> {
  const [folder, stage] = splitStage(place);
  const checkpoints = new Checkpoints(path.join(folder, 'checkpoints'));
  if (await exists(checkpoints.folder)) return (await checkpoints.trained(stage)).folder;
  if (stage === undefined) return folder;
  throw new UserError(`${folder}: not a run directory, so it has no stage ${stage}`);
}

/** The tokenizer that the run of a checkpoint works with; undefined for a checkpoint that lies elsewhere. */
async function tokenizerOfRun(checkpoint: string, hub: HubOptions): Promise<TokenizerFiles | undefined> {
  const run = new RunFiles(path.resolve(checkpoint, '../..'));
  if (!(await exists(run.file('checkpoints')))) return undefined;
  const { tokenizer, model } = (await run.config()).inputs;
  return readTokenizerFiles(tokenizer ?? (await locateModel(model ?? BASE_POLICY, hub)).folder);
}

async function readGeneration(folder: string): Promise<string | undefined> {
  const file = path.join(folder, 'generation_config.json');
  return (await exists(file)) ? readFile(file, 'utf8') : undefined;
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
