/**
 * Means, and how sure they are: the one place where they are defined.
 *
 * What failed was not measured: whoever takes a mean leaves failures out beforehand (`valid` in rollout/trajectory.ts) and says how
 * many there were. What was never measured is null, never 0.
 */
import { Random, type StreamKey } from '../base/random.ts';

/** Two-sided 95 % of the standard normal distribution. */
const Z_95 = 1.959963984540054;

/** The arithmetic mean; NaN of nothing. */
export function mean(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** The sample's variance, Σ (x − mean)² / (n − 1); NaN of fewer than two values. */
function variance(values: readonly number[]): number {
  const center = mean(values);
  let squares = 0;
  for (const value of values) squares += (value - center) ** 2;
  return values.length < 2 ? Number.NaN : squares / (values.length - 1);
}

/** The sample's standard deviation, √(Σ (x − mean)² / (n − 1)); NaN of fewer than two values. */
export function standardDeviation(values: readonly number[]): number {
  return Math.sqrt(variance(values));
}

/** Standard error of the mean, √(Σ (x − mean)² / (n − 1) / n); NaN of fewer than two values. */
export function standardError(values: readonly number[]): number {
  return Math.sqrt(variance(values) / values.length);
}

/** A measured mean. */
export interface Estimate {
  readonly mean: number;
  /** Null of fewer than two values, which say nothing about their spread. */
  readonly standardError: number | null;
}

/** The mean of the values with its standard error; null of none. */
export function estimate(values: readonly number[]): Estimate | null {
  if (values.length === 0) return null;
  return { mean: mean(values), standardError: values.length < 2 ? null : standardError(values) };
}

/**
 * The macro mean, in which every suite counts the same: m̄ = Σ m_s / S with standard error √(Σ e_s²) / S over S suites of independent
 * questions. Suites without an estimate are left out; null of none, and without a standard error when one of them has none.
 */
export function macroMean(suites: readonly (Estimate | null)[]): Estimate | null {
  const there = suites.filter((each) => each !== null);
  if (there.length === 0) return null;
  const errors = there.map((each) => each.standardError).filter((error) => error !== null);
  const squares = errors.reduce((sum, error) => sum + error ** 2, 0);
  return {
    mean: mean(there.map((each) => each.mean)),
    standardError: errors.length < there.length ? null : Math.sqrt(squares) / there.length,
  };
}

/** The mean of a value over items; null of none. */
export function meanOf<T>(items: readonly T[], value: (item: T) => number): number | null {
  return items.length === 0 ? null : mean(items.map(value));
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * Wilson's 95 % interval of a proportion (Wilson, 1927), which stays inside [0, 1] and is sound near its ends:
 *
 *   (p + z²/2n ± z √(p (1 − p)/n + z²/4n²)) / (1 + z²/n)
 *
 * [0, 1] when n is 0.
 */
export function wilsonInterval(successes: number, n: number): Interval {
  if (n === 0) return { low: 0, high: 1 };
  const p = successes / n;
  const z2 = Z_95 ** 2;
  const center = p + z2 / (2 * n);
  const reach = Z_95 * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n ** 2));
  const scale = 1 + z2 / n;
  // An end may be 0 or 1, and p itself; rounding misses it by 1e-17 to either side.
  const low = Math.min(p, Math.max(0, (center - reach) / scale));
  const high = Math.max(p, Math.min(1, (center + reach) / scale));
  return { low, high };
}

/** Resamples of the bootstrap: the ends of its interval then wander by about a twelfth of a standard error. */
const RESAMPLES = 1_000;

/**
 * Paired bootstrap: the mean of b − a over the same questions, with the 95 % interval between the percentiles of that mean
 * over resampled questions (Efron, 1979).
 *
 * @param a - scores of one system, one a question; at least one
 * @param b - scores of the other, in the same order
 */
export function pairedBootstrap(
  a: readonly number[],
  b: readonly number[],
  key: StreamKey,
): Interval & { readonly difference: number } {
  const n = a.length;
  if (n === 0 || b.length !== n)
    throw new RangeError(`expected two lists of the same length, at least 1, not of ${n} and ${b.length}`);
  const differences = Float64Array.from(a, (score, i) => b[i]! - score);
  const random = new Random(key);
  const means = new Float64Array(RESAMPLES).map(() => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += differences[random.below(n)]!;
    return sum / n;
  });
  means.sort();
  return {
    difference: mean([...differences]),
    low: means[Math.floor(0.025 * RESAMPLES)]!,
    high: means[Math.ceil(0.975 * RESAMPLES) - 1]!,
  };
}
