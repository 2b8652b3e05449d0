import { describe, expect, it } from 'vitest';
import {
  activationBytes,
  keptBytes,
  keptLimit,
  planComputation,
  samplingMemory,
  trainingMemory,
  trainingShards,
} from './memory.ts';
import { layoutOf, type ModelConfig } from './model/parameters.ts';

const world: ModelConfig = {
  family: 'qwen2',
  vocabulary: 240,
  hidden: 128,
  layers: 4,
  heads: 4,
  keyValueHeads: 2,
  headSize: 32,
  intermediate: 344,
  ropeTheta: 1e6,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 512,
};
const halfBillion: ModelConfig = {
  ...world,
  vocabulary: 151_936,
  hidden: 896,
  layers: 24,
  heads: 14,
  headSize: 64,
  intermediate: 4864,
};
const bytes = (parts: readonly { readonly name: string; readonly bytes: number }[], name?: string) =>
  parts.filter((part) => name === undefined || part.name === name).reduce((sum, part) => sum + part.bytes, 0);

describe('planComputation', () => {
  it('keeps small models in one graph and computes large ones layer by layer, their logits in chunks', () => {
    expect(planComputation(world).mode).toBe('whole');
    const plan = planComputation(halfBillion);
    expect(plan.mode).toBe('layered');
    // One chunk of logits: at most 128 MiB.
    expect(4 * plan.rows * halfBillion.vocabulary).toBeLessThanOrEqual(2 ** 27);
    expect(plan.rows).toBeGreaterThan(100);
  });
});

describe('what products give, kept for the way back', () => {
  it('is every result but that of the last product of a layer, four bytes each', () => {
    // q, k, v, o, gate and up of 24 layers: 14, 2 and 2 heads of 64, 896, and twice 4,864.
    expect(keptBytes(halfBillion, 100)).toBe(100 * 24 * 4 * (18 * 64 + 896 + 2 * 4864));
  });

  it('takes no more than the plan says and leaves 2 GiB of what is available', () => {
    const plan = planComputation(halfBillion);
    expect(keptLimit(plan, 2 ** 40)).toBe(plan.kept);
    expect(keptLimit(plan, 2 ** 31 + 1000)).toBe(1000);
    expect(keptLimit(plan, 2 ** 30)).toBe(0);
    expect(keptLimit(planComputation(world), 2 ** 40)).toBe(0);
  });
});

describe('trainingShards', () => {
  // Qwen2-like, 30 million parameters: 0.9 GB of activations for 1,024 tokens.
  const middling = { ...world, vocabulary: 32_000, hidden: 384, layers: 8, heads: 6, headSize: 64, intermediate: 1536 };

  it('gives a small model every thread, a larger one as many as its memory allows, a large one a single place', () => {
    expect(trainingShards(world, 16, 1024)).toBe(16);
    expect(planComputation(middling).mode).toBe('whole');
    const places = trainingShards(middling, 16, 1024);
    expect(places).toBeGreaterThan(1);
    expect(places).toBeLessThan(16);
    expect(trainingShards(middling, 16, 4096)).toBeLessThan(places);
    expect(trainingShards(middling, 16, 100_000)).toBe(1);
    expect(trainingShards(halfBillion, 16, 2048)).toBe(1);
  });

  it('counts each place, within what all may take together', () => {
    const at = (threads: number) =>
      trainingMemory(middling, { adapterRank: null, frozen: true, sequenceTokens: 512, threads, losses: 1 });
    const all = (threads: number) => bytes(at(threads)) - bytes(at(threads), 'weights') * 5;
    expect(all(2)).toBe(2 * all(1));
    expect(all(64)).toBeLessThanOrEqual(2 ** 33);
  });
});

describe('trainingMemory', () => {
  it('counts every array of the size of the weights', () => {
    const weights = 4 * layoutOf(halfBillion).total;
    const full = trainingMemory(halfBillion, {
      adapterRank: null,
      frozen: true,
      sequenceTokens: 512,
      threads: 2,
      losses: 1,
    });
    // Weights, frozen copy, gradient, two moments.
    for (const [name, times] of [
      ['weights', 1],
      ['frozen copy', 1],
      ['gradient', 1],
      ['moments of AdamW', 2],
    ] as const)
      expect(bytes(full, name)).toBe(times * weights);
    const lora = trainingMemory(halfBillion, {
      adapterRank: 16,
      frozen: false,
      sequenceTokens: 512,
      threads: 2,
      losses: 1,
    });
    expect(bytes(lora, 'weights') + bytes(lora, 'weights with the adapter')).toBe(2 * weights);
    expect(bytes(lora, 'gradient')).toBeLessThan(weights / 50);
    expect(bytes(lora)).toBeLessThan(bytes(full) - 2 * weights);
  });

  it('counts what the graph of each loss keeps for its next micro-batch, where there is one graph', () => {
    const at = (config: ModelConfig, losses: number) =>
      trainingMemory(config, { adapterRank: 16, frozen: true, sequenceTokens: 512, threads: 2, losses });
    // Two threads, each with the activations of 1,024 tokens for each of two losses.
    expect(bytes(at(world, 2), 'activations')).toBe(2 * 2 * activationBytes(world, 1024));
    expect(bytes(at(world, 2)) - bytes(at(world, 1))).toBe(
      bytes(at(world, 1), 'activations') + bytes(at(world, 1), 'logits'),
    );
    expect(at(halfBillion, 2)).toEqual(at(halfBillion, 1));
  });

  it('grows with the sequence, and with the cache of the sampler', () => {
    const at = (sequenceTokens: number) =>
      bytes(trainingMemory(halfBillion, { adapterRank: 16, frozen: false, sequenceTokens, threads: 2, losses: 1 }));
    expect(at(8192)).toBeGreaterThan(at(2048));
    // Keys and values of 24 layers, 2 heads of 64.
    const cache = 2 * 4 * 24 * 2 * 64 * 10 * 1000;
    expect(
      bytes(
        samplingMemory(halfBillion, { sequences: 10, sequenceTokens: 1000, bits: 32, threads: 2 }),
        'key-value cache',
      ),
    ).toBe(cache + 2 ** 27);
  });
});

describe('samplingMemory', () => {
  it('counts the weights once for every thread that samples: each thread of a small model, one of a large one', () => {
    const sampled = (config: ModelConfig, threads: number) =>
      samplingMemory(config, { sequences: 64, sequenceTokens: 448, bits: 32, threads })[0];
    expect(sampled(world, 1)).toEqual({ name: "sampler's weights", bytes: 4 * layoutOf(world).total });
    expect(sampled(world, 8)).toEqual({ name: 'weights of 8 samplers', bytes: 8 * 4 * layoutOf(world).total });
    expect(sampled(halfBillion, 8)?.bytes).toBe(4 * layoutOf(halfBillion).total);
  });
});
