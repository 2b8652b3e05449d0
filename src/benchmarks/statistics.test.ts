import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import {
  estimate,
  macroMean,
  mean,
  meanOf,
  pairedBootstrap,
  standardDeviation,
  standardError,
  wilsonInterval,
} from './statistics.ts';

describe('mean and standard error', () => {
  test('by hand', () => {
    expect(mean([1, 2, 3, 6])).toBe(3);
    // Deviations −2, −1, 0, 3: √(14 / 3 / 4)
    expect(standardError([1, 2, 3, 6])).toBeCloseTo(Math.sqrt(14 / 12), 12);
    expect(standardError([5, 5, 5])).toBe(0);
  });

  test('of exact matches: √(p (1 − p) / (n − 1))', () => {
    const scores = Array.from({ length: 125 }, (_, i) => (i < 58 ? 1 : 0));
    const p = 58 / 125;
    expect(mean(scores)).toBe(p);
    expect(standardError(scores)).toBeCloseTo(Math.sqrt((p * (1 - p)) / 124), 12);
  });

  test('an estimate is null of nothing, and has no error of one value', () => {
    expect(estimate([])).toBeNull();
    expect(estimate([0.5])).toEqual({ mean: 0.5, standardError: null });
    // By hand: deviations −¼ and ¼, √(⅛ / 2).
    expect(estimate([0.5, 1])).toEqual({ mean: 0.75, standardError: 0.25 });
    expect(standardDeviation([0.5, 1])).toBeCloseTo(Math.sqrt(1 / 8), 12);
    expect(meanOf([], Number)).toBeNull();
    expect(meanOf(['1', '2'], Number)).toBe(1.5);
  });

  test('the macro mean weighs suites equally, whatever their size, and leaves out those without an estimate', () => {
    const combined = macroMean([{ mean: 0.2, standardError: 0.03 }, null, { mean: 0.6, standardError: 0.04 }]);
    expect(combined?.mean).toBeCloseTo(0.4, 12);
    expect(combined?.standardError).toBeCloseTo(0.05 / 2, 12);
    expect(macroMean([estimate([1]), { mean: 0, standardError: 0.1 }])).toEqual({ mean: 0.5, standardError: null });
    expect(macroMean([null])).toBeNull();
  });

  test('the error of the macro mean is that of the mean of independent means', () => {
    // The variance of a mean of independent things is the sum of their variances over S²: simulated, not derived.
    const random = new Random(streamKey('macro'));
    const draw = () =>
      macroMean([30, 8].map((n) => estimate(Array.from({ length: n }, () => (random.uniform() < 0.3 ? 1 : 0)))))!;
    const draws = Array.from({ length: 4000 }, draw);
    const spread = standardDeviation(draws.map((one) => one.mean));
    const claimed = mean(draws.map((one) => one.standardError!));
    expect(claimed / spread).toBeGreaterThan(0.93);
    expect(claimed / spread).toBeLessThan(1.05);
  });

  test('undefined where there is nothing to say', () => {
    expect(mean([])).toBeNaN();
    expect(standardError([])).toBeNaN();
    expect(standardError([1])).toBeNaN();
  });
});

describe("Wilson's interval", () => {
  test.each([
    [0, 10, 0, 0.277533],
    [1, 10, 0.017876, 0.40415],
    [5, 10, 0.236593, 0.763407],
    [10, 10, 0.722467, 1],
    [0, 0, 0, 1],
  ])('of %d in %d is [%d, %d]', (successes, n, low, high) => {
    const interval = wilsonInterval(successes, n);
    expect(interval.low).toBeCloseTo(low, 5);
    expect(interval.high).toBeCloseTo(high, 5);
  });

  test('never leaves [0, 1], and the proportion never leaves it, to the bit', () => {
    for (let n = 1; n <= 500; n++) {
      expect(wilsonInterval(0, n).low).toBe(0);
      expect(wilsonInterval(n, n).high).toBe(1);
    }
  });

  test('its ends are the proportions that the score test just does not reject: |p − p₀| = z √(p₀ (1 − p₀) / n)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, share) => {
        const successes = Math.round(n * share);
        const { low, high } = wilsonInterval(successes, n);
        for (const end of [low, high]) {
          if (Math.min(end, 1 - end) < 1e-9) continue; // 0 or 1 but for rounding: the test does not apply there
          const z = Math.abs(successes / n - end) / Math.sqrt((end * (1 - end)) / n);
          expect(z).toBeCloseTo(1.959964, 4);
        }
        expect(low).toBeLessThanOrEqual(successes / n + 1e-12);
        expect(high).toBeGreaterThanOrEqual(successes / n - 1e-12);
      }),
    );
  });
});

describe('paired bootstrap', () => {
  const key = streamKey(7, 'bootstrap');
  const random = new Random(streamKey(1, 'scores'));
  const a = Array.from({ length: 200 }, () => (random.chance(0.4) ? 1 : 0));
  const b = a.map((score) => (random.chance(0.15) ? 1 : score));

  test('agrees with the normal interval of the differences where n is large', () => {
    const differences = b.map((score, i) => score - a[i]!);
    const { difference, low, high } = pairedBootstrap(a, b, key);
    const error = standardError(differences);
    expect(difference).toBeCloseTo(mean(differences), 12);
    expect(Math.abs(low - (difference - 1.96 * error))).toBeLessThan(0.25 * error);
    expect(Math.abs(high - (difference + 1.96 * error))).toBeLessThan(0.25 * error);
    expect(low).toBeGreaterThan(0);
  });

  test('is a function of its key', () => {
    const x = Array.from({ length: 50 }, () => random.uniform());
    const y = Array.from({ length: 50 }, () => random.uniform());
    expect(pairedBootstrap(x, y, key)).toEqual(pairedBootstrap(x, y, key));
    expect(pairedBootstrap(x, y, key)).not.toEqual(pairedBootstrap(x, y, streamKey(8, 'bootstrap')));
  });

  test('pairing counts: a constant difference is certain, however the scores vary', () => {
    const { difference, low, high } = pairedBootstrap([1, 5, 9], [2, 6, 10], key);
    expect([difference, low, high]).toEqual([1, 1, 1]);
  });

  test('lists of different length, or none, are refused', () => {
    expect(() => pairedBootstrap([1], [1, 2], key)).toThrow(RangeError);
    expect(() => pairedBootstrap([], [], key)).toThrow(RangeError);
  });
});
