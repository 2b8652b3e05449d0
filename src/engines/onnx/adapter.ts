/** LoRA (Hu et al., 2021) on every linear layer of the blocks: W + (alpha / rank) B A. */
import { Random } from '../../base/random.ts';
import type { AdapterConfig } from '../../policy/policy.ts';
import { adapterLayoutOf, adapterNames, LINEAR_LAYERS, layoutOf, type ModelConfig, viewOf } from './parameters.ts';

/** A ~ normal(0, 1/√in) drawn from the key in the order of the layout; B = 0, so that the model starts unchanged. */
export function freshAdapter(config: ModelConfig, { rank, key }: AdapterConfig): Float32Array {
  const layout = adapterLayoutOf(config, rank);
  const values = new Float32Array(layout.total);
  const random = new Random(key);
  for (const { name, shape } of layout.entries) {
    if (!name.endsWith('lora_A.weight')) continue;
    const deviation = 1 / Math.sqrt(shape[1]!);
    const matrix = viewOf(layout, values, name);
    for (let i = 0; i < matrix.length; i++) matrix[i] = deviation * random.normal();
  }
  return values;
}

/** Writes weights + scale B A into `target` (which may be `weights` itself); sums in float64, one rounding to float32. */
export function addAdapter(
  config: ModelConfig,
  weights: Float32Array,
  adapter: Float32Array,
  { rank, alpha }: { readonly rank: number; readonly alpha: number },
  target: Float32Array,
): void {
  const layout = layoutOf(config);
  const adapterLayout = adapterLayoutOf(config, rank);
  if (target !== weights) target.set(weights);
  for (let layer = 0; layer < config.layers; layer++) {
    for (const linear of LINEAR_LAYERS) {
      const names = adapterNames(layer, linear);
      const a = viewOf(adapterLayout, adapter, names.a);
      const b = viewOf(adapterLayout, adapter, names.b);
      const matrix = viewOf(layout, target, `model.layers.${layer}.${linear}.weight`);
      const columns = a.length / rank;
      const sums = new Float64Array(columns);
      for (let out = 0; out * columns < matrix.length; out++) {
        sums.fill(0);
        for (let r = 0; r < rank; r++) {
          const factor = (alpha / rank) * b[out * rank + r]!;
          for (let column = 0; column < columns; column++) sums[column]! += factor * a[r * columns + column]!;
        }
        for (let column = 0; column < columns; column++) matrix[out * columns + column]! += sums[column]!;
      }
    }
  }
}
