/** The models that are measured, and random batches for them. */
import { Random, type StreamKey } from '../../src/base/random.ts';
import type { ModelConfig } from '../../src/checkpoint/config.ts';

/** 2.0 million parameters: what PyTorch and others were measured with. */
export const small: ModelConfig = {
  family: 'qwen2',
  vocabulary: 2048,
  hidden: 192,
  layers: 4,
  heads: 4,
  keyValueHeads: 2,
  headSize: 48,
  intermediate: 512,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 512,
};

/** Qwen2.5-0.5B: 494 million parameters. */
export const halfBillion: ModelConfig = {
  family: 'qwen2',
  vocabulary: 151_936,
  hidden: 896,
  layers: 24,
  heads: 14,
  keyValueHeads: 2,
  headSize: 64,
  intermediate: 4864,
  ropeTheta: 1e6,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 2048,
};

/** Random ids of the given lengths. */
export function randomSequences(config: ModelConfig, lengths: readonly number[], key: StreamKey): number[][] {
  const random = new Random(key);
  return lengths.map((length) => Array.from({ length }, () => random.below(config.vocabulary)));
}
