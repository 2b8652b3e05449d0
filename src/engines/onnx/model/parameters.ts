/**
 * Where each parameter lives in the one flat Float32Array of a model, under its Hugging Face name.
 *
 * q, k and v projections lie next to one another (weights, then biases), so that one view of the flat array is the
 * matrix of all three: [(heads + 2 keyValueHeads) * headSize, hidden].
 */
import type { ModelConfig } from '../../../checkpoint/config.ts';
import { adapterTensorShapes, type TensorShapes, tensorShapes } from '../../../checkpoint/tensor-shapes.ts';

export type { ModelConfig } from '../../../checkpoint/config.ts';
export { adapterNames, LINEAR_LAYERS, type LinearLayer, linearShape } from '../../../checkpoint/tensor-shapes.ts';

export interface ParameterEntry {
  readonly name: string;
  /** Matrices are [out, in]. */
  readonly shape: readonly number[];
  /** First element in the flat array. */
  readonly offset: number;
  readonly size: number;
}

export interface ParameterLayout {
  readonly entries: readonly ParameterEntry[];
  /** Length of the flat array. */
  readonly total: number;
  readonly byName: ReadonlyMap<string, ParameterEntry>;
}

/** All parameters of a model. */
export function layoutOf(config: ModelConfig): ParameterLayout {
  return layout(tensorShapes(config));
}

/** All parameters of a LoRA adapter. */
export function adapterLayoutOf(config: ModelConfig, rank: number): ParameterLayout {
  return layout(adapterTensorShapes(config, rank));
}

/** The part of a flat array that belongs to `first`, up to and with `last` where several lie next to one another. */
export function viewOf(layout: ParameterLayout, flat: Float32Array, first: string, last: string = first): Float32Array {
  const from = layout.byName.get(first)!;
  const to = layout.byName.get(last)!;
  return flat.subarray(from.offset, to.offset + to.size);
}

/** The name of the parameter that owns an element of the flat array. */
export function nameAt(layout: ParameterLayout, element: number): string {
  return layout.entries.find((entry) => element < entry.offset + entry.size)!.name;
}

function layout(shapes: TensorShapes): ParameterLayout {
  let total = 0;
  const entries = [...shapes].map(([name, shape]) => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    const entry = { name, shape, offset: total, size };
    total += size;
    return entry;
  });
  return { entries, total, byName: new Map(entries.map((entry) => [entry.name, entry])) };
}
