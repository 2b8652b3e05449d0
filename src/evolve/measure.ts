/** From trajectories to measurements: one suite, the macro mean of suites, with standard errors over questions. */
import type { Question } from '../base/question.ts';
import { f1 } from '../benchmarks/exact-match.ts';
import { type Estimate, estimate, macroMean, mean } from '../benchmarks/statistics.ts';
import { policyTokenCount, type Trajectory, valid } from '../rollout/trajectory.ts';
import type { MeanMeasurement, SuiteMeasurement } from './results.ts';

/**
 * A mean over questions: samples of one question are averaged first, since they are not independent.
 * Values that cannot be asked of a trajectory are null and left out, as failures are. Null when nothing is left.
 */
export function overQuestions(all: readonly Trajectory[], of: (t: Trajectory) => number | null): Estimate | null {
  const byQuestion = new Map<string, number[]>();
  for (const trajectory of valid(all)) {
    const value = of(trajectory);
    if (value === null) continue;
    const values = byQuestion.get(trajectory.questionId);
    if (values) values.push(value);
    else byQuestion.set(trajectory.questionId, [value]);
  }
  return estimate([...byQuestion.values()].map(mean));
}

const asNumber = (truth: boolean) => (truth ? 1 : 0);

/** Means that say something about the policy alone: failures are counted and left out. */
export function measureSuite(
  suite: string,
  questions: readonly Question[],
  all: readonly Trajectory[],
): SuiteMeasurement {
  const answers = new Map(questions.map((q) => [q.id, q.answers]));
  const over = (of: (t: Trajectory) => number | null) => overQuestions(all, of);
  return {
    suite,
    questions: new Set(all.map((t) => t.questionId)).size,
    samplesPerQuestion: questions.length === 0 ? 0 : Math.round(all.length / questions.length),
    exactMatch: over((t) => t.correct),
    f1: over((t) => (t.answer === null ? 0 : f1(t.answer, answers.get(t.questionId) ?? []))),
    searches: over((t) => t.searches.length),
    policyTokens: over(policyTokenCount),
    wellFormed: over((t) => asNumber(t.wellFormed)),
    grounded: over((t) => (t.grounded === null ? null : asNumber(t.grounded))),
    failures: all.length - valid(all).length,
  };
}

/** Every suite counts the same. */
export function meanOfSuites(suites: readonly SuiteMeasurement[]): MeanMeasurement {
  const over = (of: (suite: SuiteMeasurement) => Estimate | null) => macroMean(suites.map(of));
  return {
    exactMatch: over((s) => s.exactMatch),
    f1: over((s) => s.f1),
    searches: over((s) => s.searches),
    policyTokens: over((s) => s.policyTokens),
    wellFormed: over((s) => s.wellFormed),
    grounded: over((s) => s.grounded),
  };
}
