import type { ModelConfig } from './config.ts';

/** For tests and benches: the shape of SmolLM2-135M. */
export const smolLM2: ModelConfig = {
  family: 'llama',
  vocabulary: 49_152,
  hidden: 576,
  layers: 30,
  heads: 9,
  keyValueHeads: 3,
  headSize: 64,
  intermediate: 1536,
  ropeTheta: 100_000,
  rmsEpsilon: 1e-5,
  tiedHead: true,
  contextLength: 8192,
};
