/** Weights of a model that has none: for measuring how fast its shape is computed. */

import { type SharedFloats, sharedFloats } from '../../../onnx/shared-floats.ts';
import { layoutOf, type ModelConfig, viewOf } from './parameters.ts';

/** Uniform weights of standard deviation 0.02, norms at 1: cheap to draw, and nothing overflows. */
export function randomWeights(config: ModelConfig): SharedFloats {
  const layout = layoutOf(config);
  const weights = sharedFloats(layout.total);
  let state = 1;
  for (let i = 0; i < weights.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    weights[i] = (state * 0.035) / 2 ** 31;
  }
  for (const { name } of layout.entries) if (name.endsWith('norm.weight')) viewOf(layout, weights, name).fill(1);
  return weights;
}
