/**
 * How sure a mean over seeds is. A seed's mean carries the luck of its questions already, so it is the seeds alone that count:
 *
 *   x̄ ± t_{n−1} s/√n     over the n seeds' means, s their standard deviation (Student, 1908)
 *
 * With one seed the interval is over its questions: percentiles of the bootstrap (Efron, 1979), drawn within suites.
 */

import { Random, type StreamKey } from '../base/random.ts';
import { type Interval, mean, standardError } from '../benchmarks/statistics.ts';
import { criticalT, twoSidedP } from '../benchmarks/student-t.ts';

/** One value a question, by suite and question; NaN where there is none (a rollout failed). */
export type SeedValues = readonly Float64Array[];

/** Of the one-seed bootstrap, and of the law's. */
export const RESAMPLES = 1_000;

/** Mean over a seed's suites (each weighs the same) of the mean over questions. NaN when nothing has a value. */
export function seedMean(suites: SeedValues): number {
  const means = suites.map((questions) => mean([...questions.filter((value) => !Number.isNaN(value))]));
  return mean(means.filter((value) => !Number.isNaN(value)));
}

/** The mean of these values of seeds with its interval; [−∞, ∞] with fewer than two, NaN as estimate of none. */
export function seedInterval(values: readonly number[], level = 0.95): Interval & { readonly estimate: number } {
  const estimate = mean(values);
  if (values.length < 2) return { estimate, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const reach = criticalT(level, values.length - 1) * standardError(values);
  return { estimate, low: estimate - reach, high: estimate + reach };
}

/** Two-sided p-value of the mean of these values against `expected`: t = (x̄ − expected)/(s/√n). NaN with fewer than two. */
export function seedP(values: readonly number[], expected = 0): number {
  const [away, error] = [mean(values) - expected, standardError(values)];
  // Without any spread whatever differs at all differs for certain.
  if (error === 0) return away === 0 ? 1 : 0;
  return twoSidedP(away / error, values.length - 1);
}

/** 95 % over the questions of one seed, of a thousand resamples. */
export function questionInterval(suites: SeedValues, key: StreamKey): Interval {
  const random = new Random(key);
  const drawn = (questions: Float64Array) => questions.map(() => questions[random.below(questions.length)]!);
  const means = Float64Array.from({ length: RESAMPLES }, () => seedMean(suites.map(drawn)));
  const sorted = means.filter((value) => !Number.isNaN(value)).sort();
  const at = (n: number) => sorted[n] ?? Number.NaN;
  return { low: at(Math.floor(0.025 * sorted.length)), high: at(Math.ceil(0.975 * sorted.length) - 1) };
}

/**
 * Holm's step-down correction (Holm, 1979): with p₍₁₎ ≤ … ≤ p₍ₘ₎, adjusted p₍ᵢ₎ = max_{j ≤ i} min(1, (m − j + 1) p₍ⱼ₎). In the order
 * given. Whatever is below .05 then is so with a chance of at most .05 that any of it is luck.
 */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((a, b) => ps[a]! - ps[b]!);
  const adjusted = new Array<number>(ps.length);
  let largest = 0;
  for (const [rank, i] of order.entries()) {
    largest = Math.max(largest, Math.min(1, (ps.length - rank) * ps[i]!));
    adjusted[i] = largest;
  }
  return adjusted;
}
