/** A few wrong answers beside their gold answers, so that a score can be looked at. */
import type { BaselineName } from '../baselines/all.ts';
import { isFailure } from '../rollout/trajectory.ts';
import { answerKey, type ScoredAnswer } from './answer.ts';
import type { EvaluationSuite } from './results.ts';

/** Examples shown. */
const MOST = 3;

export interface WrongAnswer {
  readonly suite: string;
  readonly question: string;
  readonly gold: readonly string[];
  readonly prediction: string | null;
}

/** The first wrong answers of a baseline, one suite after the other, then the second ones. */
export function wrongAnswers(
  baseline: BaselineName,
  suites: readonly EvaluationSuite[],
  answers: ReadonlyMap<string, ScoredAnswer>,
): WrongAnswer[] {
  const bySuite = suites.map(({ name: suite, questions }) =>
    questions.flatMap(({ id, question, answers: gold }) => {
      const answer = answers.get(answerKey({ baseline, suite, id }));
      if (answer === undefined || isFailure(answer.stop) || answer.exactMatch === 1) return [];
      return [{ suite, question, gold, prediction: answer.prediction }];
    }),
  );
  const rounds = Array.from({ length: MOST }, (_, n) => bySuite.flatMap((wrong) => wrong[n] ?? []));
  return rounds.flat().slice(0, MOST);
}
