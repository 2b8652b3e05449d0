/** Scores of one prediction and their means: per suite, macro (over suites) and micro (over questions). */
import { exactMatch, f1, substringMatch } from './exact-match.ts';
import { type Estimate, estimate, type Interval, macroMean, wilsonInterval } from './statistics.ts';

/** Field names as other tools write them. */
export interface Score {
  readonly em: 0 | 1;
  /** In [0, 1]. */
  readonly f1: number;
  /** 1 when a gold answer occurs in the prediction. */
  readonly sub_em: 0 | 1;
}

/** A prediction against its gold answers; null (no answer was given) scores 0 everywhere. */
export function scorePrediction(prediction: string | null, answers: readonly string[]): Score {
  if (prediction === null) return { em: 0, f1: 0, sub_em: 0 };
  return {
    em: exactMatch(prediction, answers),
    f1: f1(prediction, answers),
    sub_em: substringMatch(prediction, answers),
  };
}

export interface SuiteSummary {
  readonly suite: string;
  readonly questions: number;
  /** With Wilson's 95 % interval. */
  readonly em: Estimate & Interval;
  readonly f1: Estimate;
  readonly sub_em: Estimate;
}

export interface ScoreSummary {
  readonly suites: readonly SuiteSummary[];
  /** Every question counts the same. */
  readonly micro: Omit<SuiteSummary, 'suite'>;
  /** Every suite counts the same, as in the paper's table. */
  readonly macro: { readonly em: Estimate; readonly f1: Estimate; readonly sub_em: Estimate };
  /** Said when a small suite weighs much more in the macro mean than in the micro mean. */
  readonly note: string | null;
}

/** @param suites - scores of each suite; at least one suite, each with at least one score */
export function summarizeScores(suites: ReadonlyMap<string, readonly Score[]>): ScoreSummary {
  const summaries = [...suites].map(([suite, scores]) => ({ suite, ...summarize(scores) }));
  return {
    suites: summaries,
    micro: summarize([...suites.values()].flat()),
    macro: {
      em: macroMean(summaries.map(({ em }) => em))!,
      f1: macroMean(summaries.map((summary) => summary.f1))!,
      sub_em: macroMean(summaries.map((summary) => summary.sub_em))!,
    },
    note: weightNote(summaries),
  };
}

/** Of at least one score. */
function summarize(scores: readonly Score[]): Omit<SuiteSummary, 'suite'> {
  const em = scores.map((score) => score.em);
  const matches = em.filter((match) => match === 1).length;
  return {
    questions: scores.length,
    em: { ...estimate(em)!, ...wilsonInterval(matches, scores.length) },
    f1: estimate(scores.map((score) => score.f1))!,
    sub_em: estimate(scores.map((score) => score.sub_em))!,
  };
}

/** A suite is worth a remark when a question of it weighs this many times as much in the macro mean as in the micro mean. */
const REMARKABLE = 5;

function weightNote(summaries: readonly SuiteSummary[]): string | null {
  const total = summaries.reduce((sum, { questions }) => sum + questions, 0);
  const smallest = summaries.reduce((least, suite) => (suite.questions < least.questions ? suite : least));
  const [macro, micro] = [1 / summaries.length, smallest.questions / total];
  if (macro < REMARKABLE * micro) return null;
  const [count, all] = [smallest.questions.toLocaleString('en'), total.toLocaleString('en')];
  return `${smallest.suite}: ${count} of ${all} questions (${percent(micro)}) but ${percent(macro)} of the macro mean`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
