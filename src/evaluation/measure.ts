/**
 * From answers to the figures of a row: one suite, the mean over suites, the mean over questions. Failed questions were not
 * measured: they are counted and left out of every figure (docs/benchmarks.md).
 */

import type { BaselineName } from '../baselines/all.ts';
import { type Estimate, estimate, macroMean, wilsonInterval } from '../benchmarks/statistics.ts';
import { valid } from '../rollout/trajectory.ts';
import { answerKey, type ScoredAnswer } from './answer.ts';
import type { Conditions } from './conditions.ts';
import type { EvaluationResults, EvaluationSuite, Figures, ResultRow, SuiteResult } from './results.ts';

function figuresOf(all: readonly ScoredAnswer[]): Figures {
  const answers = valid(all);
  const over = (of: (answer: ScoredAnswer) => number | null) =>
    estimate(answers.map(of).filter((value) => value !== null));
  return {
    exactMatch: over((a) => a.exactMatch),
    f1: over((a) => a.f1),
    substring: over((a) => a.substring),
    recall: over((a) => a.recall),
    searches: over((a) => a.searches.length),
    newTokens: over((a) => a.newTokens),
    promptTokens: over((a) => a.promptTokens),
    wellFormed: over((a) => (a.wellFormed === null ? null : Number(a.wellFormed))),
  };
}

export function measureSuite(suite: string, all: readonly ScoredAnswer[]): SuiteResult {
  const answers = valid(all);
  const correct = answers.filter((a) => a.exactMatch === 1).length;
  return {
    suite,
    questions: all.length,
    failures: all.length - answers.length,
    unanswered: answers.filter(({ prediction }) => prediction === null).length,
    exactMatchInterval: wilsonInterval(correct, answers.length),
    ...figuresOf(all),
  };
}

/** Every suite weighs the same; suites without a figure are left out of its mean. */
export function meanOfSuites(suites: readonly SuiteResult[]): Figures {
  const over = (name: keyof Figures) => macroMean(suites.map((suite) => suite[name]));
  return {
    exactMatch: over('exactMatch'),
    f1: over('f1'),
    substring: over('substring'),
    recall: over('recall'),
    searches: over('searches'),
    newTokens: over('newTokens'),
    promptTokens: over('promptTokens'),
    wellFormed: over('wellFormed'),
  };
}

/** Every question weighs the same. */
export function meanOfQuestions(answers: readonly ScoredAnswer[]): Figures {
  return figuresOf(answers);
}

/** How long a question of a row was under way, mean of suites; kept out of results.json, where nothing may hang on a clock. */
export function secondsOf(
  { baseline, suites }: ResultRow,
  answers: ReadonlyMap<string, ScoredAnswer>,
): Estimate | null {
  const own = valid([...answers.values()].filter((a) => a.baseline === baseline));
  return macroMean(suites.map(({ suite }) => estimate(own.filter((a) => a.suite === suite).map((a) => a.seconds))));
}

/** The results of a finished evaluation, in the order of the questions, whatever order they ended in. */
export function resultsOf(
  conditions: Conditions,
  baselines: readonly BaselineName[],
  suites: readonly EvaluationSuite[],
  answers: ReadonlyMap<string, ScoredAnswer>,
): EvaluationResults {
  const rows = baselines.map((baseline) => {
    const bySuite = suites.map(({ name: suite, questions }) =>
      questions.flatMap(({ id }) => answers.get(answerKey({ baseline, suite, id })) ?? []),
    );
    const measured = suites.map(({ name }, i) => measureSuite(name, bySuite[i]!));
    return { baseline, suites: measured, macro: meanOfSuites(measured), micro: meanOfQuestions(bySuite.flat()) };
  });
  return { schema: 1, conditions, rows };
}
