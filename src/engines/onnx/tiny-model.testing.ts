/** For tests: a model of a few hundred parameters with random weights, as `openPolicy` takes it. */
import { layoutOf, type ModelConfig } from './model/parameters.ts';
import { randomWeights } from './training/reference.testing.ts';
import { named } from './training/snapshot.ts';

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
  const weights = named(layoutOf(config), randomWeights(config, [1, 1]));
  return { config, weights, pieces: [...'abcdefghijkl'] };
}
