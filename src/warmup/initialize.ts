/**
 * Random initialisation of a Qwen2 policy (tensor names and [out, in] shapes are Hugging Face's).
 *
 * Linear layers: normal(0, 1/√in), so that activations keep their size; the two projections that write into the residual
 * stream (o_proj, down_proj) are divided by √(2·layers), one factor for each time a layer writes. Norm weights 1, biases 0.
 */
import { Random, type StreamKey, streamKey } from '../base/random.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import type { Tensor } from '../checkpoint/safetensors.ts';
import { tensorShapes } from '../checkpoint/tensor-shapes.ts';

/** All tensors of a model by their Hugging Face names. */
export type Weights = Map<string, Tensor>;

/** Standard deviation of the embedding. */
export const embeddingDeviation = 0.06;

/** Every tensor of a model, each drawn from a stream of its own, (key, tensor name): no tensor depends on another. */
export function initializeWeights(config: ModelConfig, key: StreamKey): Weights {
  const weights: Weights = new Map();
  for (const [name, shape] of tensorShapes(config)) {
    const data = new Float32Array(shape.reduce((product, length) => product * length, 1));
    const deviation = deviationOf(name, shape, config);
    if (deviation > 0) {
      const random = new Random(streamKey(key[0], key[1], name));
      for (let i = 0; i < data.length; i++) data[i] = deviation * random.normal();
    } else if (name.endsWith('norm.weight')) data.fill(1);
    weights.set(name, { shape, data });
  }
  return weights;
}

/** Standard deviation of a matrix's entries; 0 for vectors, which are not random. */
function deviationOf(name: string, shape: readonly number[], config: ModelConfig): number {
  const inputs = shape[1];
  if (inputs === undefined) return 0;
  if (name === 'model.embed_tokens.weight' || name === 'lm_head.weight') return embeddingDeviation;
  const writes = name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight');
  return (writes ? 1 / Math.sqrt(2 * config.layers) : 1) / Math.sqrt(inputs);
}
