import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import { bootstrapIntervals, estimateOf, seedMean, type Values } from './bootstrap.ts';

const list = (...values: number[]) => Float64Array.from(values);
const key = streamKey('test');
const only = (values: Values, resamples = 500) => bootstrapIntervals([values], key, resamples)[0]!;

describe('the estimate', () => {
  it('is the mean over seeds of the mean over suites of the mean over questions', () => {
    const values = [
      [list(1, 0, 0, 0), list(1, 1)],
      [list(0, 0, 0, 0), list(1, 0)],
    ];
    // ((1/4 + 1) / 2 + (0 + 1/2) / 2) / 2
    expect(estimateOf(values)).toBeCloseTo((0.625 + 0.25) / 2, 12);
  });

  it('leaves out questions, suites and seeds without a value', () => {
    expect(seedMean([list(1, Number.NaN, 0), list(Number.NaN)])).toBe(0.5);
    expect(estimateOf([[list(Number.NaN)], [list(0.25)]])).toBe(0.25);
    expect(estimateOf([[list(Number.NaN)]])).toBeNaN();
  });
});

describe('the interval', () => {
  it('is a point where nothing varies', () => {
    const values = [[list(0.5, 0.5)], [list(0.5, 0.5)], [list(0.5, 0.5)]];
    expect(only(values)).toEqual({ estimate: 0.5, low: 0.5, high: 0.5 });
  });

  it('is over questions alone with one seed: the plain bootstrap, nearly mean ± 1.96 standard errors', () => {
    const random = new Random(streamKey('one seed'));
    const questions = Float64Array.from({ length: 400 }, () => (random.chance(0.3) ? 1 : 0));
    const { estimate, low, high } = only([[questions]], 2000);
    const se = Math.sqrt((estimate * (1 - estimate)) / 400);
    expect(low).toBeCloseTo(estimate - 1.96 * se, 2);
    expect(high).toBeCloseTo(estimate + 1.96 * se, 2);
  });

  it('with two seeds of constant questions reaches from seed to seed, stretched by t', () => {
    // A resample is (0, 0), (0, 1), (1, 0) or (1, 1): its percentiles are 0 and 1.
    const { estimate, low, high } = only([[list(0, 0)], [list(1, 1)]]);
    expect(estimate).toBe(0.5);
    expect(low).toBeCloseTo(0.5 - (0.5 * 12.706) / 1.96, 6);
    expect(high).toBeCloseTo(0.5 + (0.5 * 12.706) / 1.96, 6);
  });

  it('turns with the sign, and shares its draws among comparisons', () => {
    const random = new Random(streamKey('sign'));
    const values = [0, 1, 2].map(() => [0, 1].map(() => Float64Array.from({ length: 9 }, () => random.normal())));
    const turned = values.map((suites) => suites.map((suite) => suite.map((value) => -value)));
    const [a, b] = bootstrapIntervals([values, turned], key, 300);
    expect(b!.low).toBeCloseTo(-a!.high, 12);
    expect(b!.high).toBeCloseTo(-a!.low, 12);
    expect(bootstrapIntervals([turned, values], key, 300)).toEqual([b, a]);
  });

  it('covers the truth in at least 90 of 100 experiments of five seeds, whatever varies', () => {
    for (const [between, within] of [
      [0, 1],
      [1, 1],
      [1, 0.05],
    ] as const) {
      const random = new Random(streamKey('coverage', between, within));
      let covered = 0;
      for (let experiment = 0; experiment < 100; experiment++) {
        const values = Array.from({ length: 5 }, () => {
          const seed = between * random.normal();
          return [0, 1].map(() =>
            Float64Array.from({ length: 5 }, () => seed + within * Math.sqrt(10) * random.normal()),
          );
        });
        const [interval] = bootstrapIntervals([values], streamKey('coverage', experiment), 100);
        if (interval!.low <= 0 && interval!.high >= 0) covered += 1;
      }
      expect(covered / 100).toBeGreaterThanOrEqual(0.9);
    }
  });
});
