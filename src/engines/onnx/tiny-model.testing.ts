/** For tests: a model of a few hundred parameters with random weights, as `openPolicy` takes it. */
import type { Tensor } from '../../checkpoint/safetensors.ts';
import { layoutOf, type ModelConfig, viewOf } from './model/parameters.ts';
import { randomWeights } from './training/reference.testing.ts';

export function tinyModel({ layers }: { readonly layers: number }) {
  const config: ModelConfig = {
    family: 'qwen2',
    vocabulary: 12,
    hidden: 16,
    layers,
    heads: 4,
    keyValueHeads: 2,
    headSize: 4,
    intermediate: 24,
    ropeTheta: 1000,
    rmsEpsilon: 1e-6,
    tiedHead: true,
    contextLength: 24,
  };
  const flat = randomWeights(config, [1, 1]);
  const weights = new Map<string, Tensor>(
    layoutOf(config).entries.map(({ name, shape }) => [name, { shape, data: viewOf(layoutOf(config), flat, name) }]),
  );
  return { config, weights, pieces: [...'abcdefghijkl'] };
}
