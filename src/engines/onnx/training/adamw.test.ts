import { describe, expect, it } from 'vitest';
import { Random } from '../../../base/random.ts';
import { sharedCopy } from '../../../onnx/shared-floats.ts';
import type { AdamWStep } from '../../../policy/policy.ts';
import { adamwStep, freshMoments, ownShard, type Shard, shardsFor } from './adamw.ts';

const settings: AdamWStep = {
  learningRate: 0.1,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.01,
  clipNorm: Number.POSITIVE_INFINITY,
  minGradientNorm: 0,
};

describe('adamwStep', () => {
  const shared = (...values: number[]) => sharedCopy(Float32Array.from(values));

  it('follows the definition over several steps', async () => {
    const weights = shared(1, -2, 0.5);
    const moments = freshMoments(3);
    const gradients = [
      [0.3, -0.1, 2],
      [-0.2, 0.4, 1],
      [0.1, 0.1, -3],
    ];
    const expected = [1, -2, 0.5];
    for (const [step, gradient] of gradients.entries()) {
      await adamwStep(weights, shared(...gradient), moments, settings, [ownShard]);
      for (const i of expected.keys()) {
        // Bias-corrected averages, written as weighted sums over all gradients so far.
        const t = step + 1;
        const average = (beta: number, power: number) =>
          gradients.slice(0, t).reduce((sum, g, j) => sum + (1 - beta) * beta ** (t - 1 - j) * g[i]! ** power, 0) /
          (1 - beta ** t);
        expected[i] = expected[i]! * (1 - 0.1 * 0.01) - (0.1 * average(0.9, 1)) / (Math.sqrt(average(0.99, 2)) + 1e-8);
      }
    }
    for (const [i, value] of expected.entries()) expect(weights[i]).toBeCloseTo(value, 5);
    expect(moments.steps).toBe(3);
  });

  it('reports the norm before clipping and scales the gradient down to the limit', async () => {
    const moments = freshMoments(2);
    const result = await adamwStep(shared(0, 0), shared(3, 4), moments, { ...settings, clipNorm: 1 }, [ownShard]);
    expect(result).toEqual({ gradientNorm: 5, skipped: false });
    // m = (1 − β₁) g / 5
    expect(moments.first[0]).toBeCloseTo(0.1 * 0.6, 6);
    expect(moments.first[1]).toBeCloseTo(0.1 * 0.8, 6);
  });

  it('moves nothing when the gradient is below the limit, decay included', async () => {
    const weights = shared(1, 2);
    const moments = freshMoments(2);
    const result = await adamwStep(weights, shared(1e-9, 0), moments, { ...settings, minGradientNorm: 1e-6 }, [
      ownShard,
    ]);
    expect(result.skipped).toBe(true);
    expect(weights).toEqual(new Float32Array([1, 2]));
    expect(moments).toEqual(freshMoments(2));
  });

  it('does every element once and gives the same bits, however many share the work', async () => {
    // Six chunks of the norm's sum, the last one cut short; clipped, so that the norm's last bit shows in the weights.
    const size = 5 * 2 ** 16 + 7;
    const random = new Random([1, 1]);
    const [start, gradient] = [0, 1].map(() => sharedCopy(Float32Array.from({ length: size }, () => random.normal())));
    const outcomes = [];
    for (const count of [1, 2, 4, 9]) {
      const updated: number[] = [];
      const shard: Shard = {
        ...ownShard,
        update: (slice, coefficients) => {
          updated.push(slice.weights.length);
          return ownShard.update(slice, coefficients);
        },
      };
      const [weights, moments] = [sharedCopy(start!), freshMoments(size)];
      const shards = new Array<Shard>(count).fill(shard);
      const result = await adamwStep(weights, gradient!, moments, { ...settings, clipNorm: 1 }, shards);
      expect(updated.reduce((sum, length) => sum + length, 0)).toBe(size);
      outcomes.push({ weights, moments, result });
    }
    for (const outcome of outcomes.slice(1)) expect(outcome).toEqual(outcomes[0]);
    const squares = gradient!.reduce((sum, g) => sum + g * g, 0);
    expect(outcomes[0]!.result.gradientNorm).toBeCloseTo(Math.sqrt(squares), 2);
  });
});

describe('shardsFor', () => {
  it('leaves a small step to one thread', () => {
    expect(shardsFor(800_000, 8)).toBe(1);
    expect(shardsFor(3_000_000, 8)).toBe(2);
    expect(shardsFor(494_000_000, 8)).toBe(8);
  });
});
