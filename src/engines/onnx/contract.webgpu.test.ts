/** The engine's contract, on the GPU. */
import type { Tensor } from '../../checkpoint/safetensors.ts';
import { policyContract } from '../../policy/contract.testing.ts';
import { openPolicy } from './engine.ts';
import { layoutOf, type ModelConfig, viewOf } from './model/parameters.ts';
import { randomWeights } from './training/reference.testing.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 12,
  hidden: 16,
  layers: 1,
  heads: 4,
  keyValueHeads: 2,
  headSize: 4,
  intermediate: 24,
  ropeTheta: 1000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 24,
};
const pieces = [...'abcdefghijkl'];
const layout = layoutOf(config);
const flat = randomWeights(config, [1, 1]);
const weights = new Map<string, Tensor>(
  layout.entries.map(({ name, shape }) => [name, { shape, data: viewOf(layout, flat, name) }]),
);

policyContract('the embedded engine on a GPU', {
  pieces,
  tolerance: 1e-4,
  open: () => openPolicy({ config, weights, pieces, device: 'webgpu' }),
});
