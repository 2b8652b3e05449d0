import { describe, expect, it } from 'vitest';
import { scaledAdvantages } from './scale.ts';

/** Two datums; the coefficient of each token that a server's reduction comes to must be m c / D. */
const masks = [Uint8Array.of(0, 1, 1, 0), Uint8Array.of(0, 0, 0, 1)];
const coefficients = [Float32Array.of(0, 2, -3, 7), Float32Array.of(1, 1, 1, 5)];

describe('scaledAdvantages', () => {
  it.each([3, 100, 0.5])('gives m c / D under every reduction, for a denominator of %f', (denominator) => {
    const wanted = masks.map((mask, i) => coefficients[i]!.map((c, t) => (mask[t]! * c) / denominator));
    const sent = (reduction: 'sum' | 'mean-of-weights' | 'mean-of-datums') =>
      masks.map((mask, i) => scaledAdvantages(reduction, mask, coefficients[i]!, { denominator, datums: 2 }, 3));
    const near = (a: Float32Array[]) => {
      for (const [i, stream] of a.entries())
        for (const [t, x] of stream.entries()) expect(x).toBeCloseTo(wanted[i]![t]!, 4);
    };
    near(sent('sum').map(({ weights, advantages }) => advantages.map((a, t) => a * weights[t]!)));
    const means = sent('mean-of-weights');
    const total = Math.max(
      1,
      means.reduce((sum, { weights }) => sum + weights.reduce((a, b) => a + b), 0),
    );
    near(means.map(({ weights, advantages }) => advantages.map((a, t) => (a * weights[t]!) / total)));
    const datums = sent('mean-of-datums');
    near(
      datums.map(({ weights, advantages }) => {
        const own = weights.reduce((a, b) => a + b);
        return advantages.map((a, t) => (a * weights[t]!) / own / 2);
      }),
    );
  });
});
