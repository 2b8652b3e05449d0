import { describe, expect, it } from 'vitest';
import type { AdamWStep } from '../../policy/policy.ts';
import { adamwStep, freshMoments } from './adamw.ts';

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
  it('follows the definition over several steps', () => {
    const weights = new Float32Array([1, -2, 0.5]);
    const moments = freshMoments(3);
    const gradients = [
      [0.3, -0.1, 2],
      [-0.2, 0.4, 1],
      [0.1, 0.1, -3],
    ];
    const expected = [1, -2, 0.5];
    for (const [step, gradient] of gradients.entries()) {
      adamwStep(weights, Float32Array.from(gradient), moments, settings);
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

  it('reports the norm before clipping and scales the gradient down to the limit', () => {
    const moments = freshMoments(2);
    const result = adamwStep(new Float32Array(2), new Float32Array([3, 4]), moments, { ...settings, clipNorm: 1 });
    expect(result).toEqual({ gradientNorm: 5, skipped: false });
    // m = (1 − β₁) g / 5
    expect(moments.first[0]).toBeCloseTo(0.1 * 0.6, 6);
    expect(moments.first[1]).toBeCloseTo(0.1 * 0.8, 6);
  });

  it('moves nothing when the gradient is below the limit, decay included', () => {
    const weights = new Float32Array([1, 2]);
    const moments = freshMoments(2);
    const result = adamwStep(weights, new Float32Array([1e-9, 0]), moments, { ...settings, minGradientNorm: 1e-6 });
    expect(result.skipped).toBe(true);
    expect(weights).toEqual(new Float32Array([1, 2]));
    expect(moments).toEqual(freshMoments(2));
  });
});
