/**
 * How sure a mean over seeds is: the hierarchical bootstrap (Davison & Hinkley, 1997, §3.8). Seeds are the unit; questions are
 * drawn within the suites of each drawn seed, so that both kinds of luck are in the interval.
 *
 * Plain percentiles are too narrow with few seeds. The interval is therefore stretched about the estimate as Student's t
 * stretches the normal (Hesterberg, 2015, §3.2): bootstrap.test.ts has its coverage.
 */

import { Random, type StreamKey } from '../base/random.ts';
import { type Interval, mean } from '../benchmarks/statistics.ts';

/** One value a question, by seed, suite and question; NaN where there is none (a rollout failed). */
export type Values = readonly (readonly Float64Array[])[];

export const RESAMPLES = 1_000;

/** Mean over a seed's suites (each weighs the same) of the mean over questions. NaN when nothing has a value. */
export function seedMean(suites: readonly Float64Array[]): number {
  const means = suites.map((questions) => mean([...questions.filter((value) => !Number.isNaN(value))]));
  return mean(means.filter((value) => !Number.isNaN(value)));
}

/** Mean over seeds of the macro mean over suites: what the interval is about. */
export function estimateOf(values: Values): number {
  return mean(values.map(seedMean).filter((value) => !Number.isNaN(value)));
}

/**
 * 95 % intervals of `estimateOf` for many sets of values of the same shape. All share the same draws: comparisons differ by what
 * is compared, never by the luck of resampling.
 */
export function bootstrapIntervals(
  sets: readonly Values[],
  key: StreamKey,
  resamples = RESAMPLES,
): (Interval & { readonly estimate: number })[] {
  const shape = sets[0] ?? [];
  const random = new Random(key);
  const means = sets.map(() => new Float64Array(resamples));
  for (let r = 0; r < resamples; r++) {
    const drawn = shape.map(() => {
      const seed = random.below(shape.length);
      return {
        seed,
        picks: shape[seed]!.map(({ length }) => Uint32Array.from({ length }, () => random.below(length))),
      };
    });
    for (const [s, values] of sets.entries()) means[s]![r] = resampledMean(values, drawn);
  }
  return sets.map((values, s) => {
    const estimate = estimateOf(values);
    const sorted = means[s]!.filter((value) => !Number.isNaN(value)).sort();
    const stretch = smallSampleStretch(values.length);
    const low = sorted[Math.floor(0.025 * sorted.length)] ?? Number.NaN;
    const high = sorted[Math.ceil(0.975 * sorted.length) - 1] ?? Number.NaN;
    return { estimate, low: estimate - stretch * (estimate - low), high: estimate + stretch * (high - estimate) };
  });
}

interface Drawn {
  readonly seed: number;
  /** Questions by suite. */
  readonly picks: readonly Uint32Array[];
}

function resampledMean(values: Values, drawn: readonly Drawn[]): number {
  let [total, seeds] = [0, 0];
  for (const { seed, picks } of drawn) {
    let [sum, suites] = [0, 0];
    for (let suite = 0; suite < picks.length; suite++) {
      const questions = values[seed]![suite]!;
      const chosen = picks[suite]!;
      let [inSuite, count] = [0, 0];
      for (let i = 0; i < chosen.length; i++) {
        const value = questions[chosen[i]!]!;
        if (!Number.isNaN(value)) {
          inSuite += value;
          count += 1;
        }
      }
      if (count > 0) {
        sum += inSuite / count;
        suites += 1;
      }
    }
    if (suites > 0) {
      total += sum / suites;
      seeds += 1;
    }
  }
  return total / seeds;
}

/** Two-sided 95 % quantiles of Student's t by degrees of freedom, from 1. */
const T_95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086,
];
const Z_95 = 1.96;

/** t_{n−1} / z: 1 for one seed, where the interval is over questions alone. */
export function smallSampleStretch(seeds: number): number {
  return seeds < 2 ? 1 : (T_95[seeds - 2] ?? Z_95) / Z_95;
}
