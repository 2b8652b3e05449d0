import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import { holm, questionInterval, seedInterval, seedMean, seedP } from './intervals.ts';

const list = (...values: number[]) => Float64Array.from(values);
const key = streamKey('test');

describe('the mean of a seed', () => {
  it('is the mean over suites of the mean over questions, of those that have a value', () => {
    // (1/4 + 1) / 2
    expect(seedMean([list(1, 0, 0, 0), list(1, 1)])).toBeCloseTo(0.625, 12);
    expect(seedMean([list(1, Number.NaN, 0), list(Number.NaN)])).toBe(0.5);
    expect(seedMean([list(Number.NaN)])).toBeNaN();
  });
});

describe('the interval over seeds', () => {
  it('is Student’s: his own data on hours of sleep gained', () => {
    // "The probable error of a mean", 1908, differences of the two drugs; t = 4.0621, p = .002833 (the textbook's example).
    const gained = [1.2, 2.4, 1.3, 1.3, 0, 1, 1.8, 0.8, 4.6, 1.4];
    const { estimate, low, high } = seedInterval(gained);
    expect([estimate, low, high].map((x) => x.toFixed(4))).toEqual(['1.5800', '0.7001', '2.4599']);
    expect(seedP(gained)).toBeCloseTo(0.002833, 6);
  });

  it('is narrower at a lower level, and a point where nothing varies', () => {
    const values = [0.1, 0.3, 0.2];
    expect(seedInterval(values, 0.9).high).toBeLessThan(seedInterval(values).high);
    expect(seedInterval([0.5, 0.5, 0.5])).toEqual({ estimate: 0.5, low: 0.5, high: 0.5 });
    expect([seedP([0, 0]), seedP([0.5, 0.5])]).toEqual([1, 0]);
  });

  it('says nothing of one seed', () => {
    expect(seedInterval([0.2])).toEqual({
      estimate: 0.2,
      low: Number.NEGATIVE_INFINITY,
      high: Number.POSITIVE_INFINITY,
    });
    expect(seedP([0.2])).toBeNaN();
  });

  it('excludes 0 exactly when p is below .05, and covers the truth in 95 of 100 experiments, whatever varies', () => {
    for (const [between, within] of [
      [0, 1],
      [1, 1],
      [1, 0.05],
    ] as const) {
      const random = new Random(streamKey('coverage', between, within));
      let covered = 0;
      for (let experiment = 0; experiment < 4000; experiment++) {
        const values = Array.from({ length: 5 }, () => {
          const seed = between * random.normal();
          return seedMean([0, 1].map(() => Float64Array.from({ length: 5 }, () => seed + within * random.normal())));
        });
        const { low, high } = seedInterval(values);
        const covers = low <= 0 && high >= 0;
        expect(seedP(values) < 0.05).toBe(!covers);
        if (covers) covered += 1;
      }
      // .95 ± 3.3 standard errors.
      expect(covered / 4000).toBeGreaterThan(0.9386);
      expect(covered / 4000).toBeLessThan(0.9614);
    }
  });
});

describe('the interval of one seed', () => {
  it('is over its questions: nearly mean ± 1.96 standard errors', () => {
    const random = new Random(streamKey('one seed'));
    const questions = Float64Array.from({ length: 400 }, () => (random.chance(0.3) ? 1 : 0));
    const estimate = seedMean([questions]);
    const { low, high } = questionInterval([questions], key);
    const error = Math.sqrt((estimate * (1 - estimate)) / 400);
    expect(Math.abs(low - (estimate - 1.96 * error))).toBeLessThan(0.006);
    expect(Math.abs(high - (estimate + 1.96 * error))).toBeLessThan(0.006);
  });

  it('turns with the sign', () => {
    const values = [list(1, 0, 3, -2, 0.5), list(0, 2, -1)];
    const turned = values.map((suite) => suite.map((value) => -value));
    const [a, b] = [questionInterval(values, key), questionInterval(turned, key)];
    expect(b.low).toBeCloseTo(-a.high, 12);
    expect(b.high).toBeCloseTo(-a.low, 12);
  });
});

describe('Holm’s correction', () => {
  it('is that of his paper’s rule: p times what is left, never falling', () => {
    // Four hypotheses at .005, .011, .02, .04: 4, 3, 2, 1 times.
    expect(holm([0.02, 0.005, 0.04, 0.011]).map((p) => p.toFixed(3))).toEqual(['0.040', '0.020', '0.040', '0.033']);
    expect(holm([0.6, 0.9])).toEqual([1, 1]);
    expect(holm([])).toEqual([]);
  });

  it('rejects what the stepwise rule rejects: from the smallest on, as long as p is at most .05/(m − i + 1)', () => {
    const random = new Random(streamKey('holm'));
    for (let trial = 0; trial < 200; trial++) {
      const ps = Array.from({ length: 1 + random.below(8) }, () => random.uniform() ** 3);
      const rejected = new Set<number>();
      for (const [i, p] of [...ps.entries()].sort((a, b) => a[1] - b[1])) {
        if (p > 0.05 / (ps.length - rejected.size)) break;
        rejected.add(i);
      }
      expect(new Set(holm(ps).flatMap((p, i) => (p <= 0.05 ? [i] : [])))).toEqual(rejected);
    }
  });
});
