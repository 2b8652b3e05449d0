/** From trajectories to measurements: one suite, the macro mean of suites, with standard errors over questions. */
import type { Question } from '../base/question.ts';
import { f1 } from '../benchmarks/exact-match.ts';
import { isFailure, policyTokenCount, type Trajectory } from '../rollout/trajectory.ts';
import type { Estimate, MeanMeasurement, SuiteMeasurement } from './results.ts';

/**
 * A mean over questions: samples of one question are averaged first, since they are not independent.
 * Values that cannot be asked of a trajectory are null and left out. Null when nothing is left.
 */
export function estimate(trajectories: readonly Trajectory[], of: (t: Trajectory) => number | null): Estimate | null {
  const byQuestion = new Map<string, number[]>();
  for (const trajectory of trajectories) {
    const value = of(trajectory);
    if (value === null) continue;
    const values = byQuestion.get(trajectory.questionId);
    if (values) values.push(value);
    else byQuestion.set(trajectory.questionId, [value]);
  }
  const means = [...byQuestion.values()].map((values) => values.reduce((a, b) => a + b, 0) / values.length);
  if (means.length === 0) return null;
  const mean = means.reduce((a, b) => a + b, 0) / means.length;
  // With one question the spread is unknown; 0 would claim certainty, but NaN does not survive JSON: the count stands beside it.
  const variance = means.length < 2 ? 0 : means.reduce((sum, m) => sum + (m - mean) ** 2, 0) / (means.length - 1);
  return { mean, standardError: Math.sqrt(variance / means.length) };
}

/** Of nothing; the count of failures or questions stands beside it. */
export const NONE: Estimate = { mean: 0, standardError: 0 };
const asNumber = (truth: boolean) => (truth ? 1 : 0);

/** Means that say something about the policy alone: failures of the environment are counted and left out. */
export function measureSuite(
  suite: string,
  questions: readonly Question[],
  all: readonly Trajectory[],
): SuiteMeasurement {
  const trajectories = all.filter((t) => !isFailure(t.stop));
  const answers = new Map(questions.map((q) => [q.id, q.answers]));
  const over = (of: (t: Trajectory) => number | null) => estimate(trajectories, of);
  return {
    suite,
    questions: new Set(all.map((t) => t.questionId)).size,
    samplesPerQuestion: questions.length === 0 ? 0 : Math.round(all.length / questions.length),
    exactMatch: over((t) => t.correct) ?? NONE,
    f1: over((t) => (t.answer === null ? 0 : f1(t.answer, answers.get(t.questionId) ?? []))) ?? NONE,
    searches: over((t) => t.searches.length) ?? NONE,
    policyTokens: over((t) => policyTokenCount(t)) ?? NONE,
    wellFormed: over((t) => asNumber(t.wellFormed)) ?? NONE,
    grounded: over((t) => (t.grounded === null ? null : asNumber(t.grounded))),
    failures: all.length - trajectories.length,
  };
}

/** Mean of suite means; standard error √Σ se² / number of suites. */
export function macroMean(suites: readonly SuiteMeasurement[]): MeanMeasurement {
  const mean = (of: (s: SuiteMeasurement) => Estimate | null) => {
    const estimates = suites.map(of).filter((e) => e !== null);
    if (estimates.length === 0) return null;
    return {
      mean: estimates.reduce((sum, e) => sum + e.mean, 0) / estimates.length,
      standardError: Math.sqrt(estimates.reduce((sum, e) => sum + e.standardError ** 2, 0)) / estimates.length,
    };
  };
  return {
    exactMatch: mean((s) => s.exactMatch) ?? NONE,
    f1: mean((s) => s.f1) ?? NONE,
    searches: mean((s) => s.searches) ?? NONE,
    policyTokens: mean((s) => s.policyTokens) ?? NONE,
    wellFormed: mean((s) => s.wellFormed) ?? NONE,
    grounded: mean((s) => s.grounded),
  };
}
