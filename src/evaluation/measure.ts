/**
 * From answers to the figures of a row: one suite, the mean over suites, the mean over questions.
 *
 * Scores are taken over all questions asked, failed ones counted as 0, with their number beside; what describes behaviour
 * (searches, tokens, form, recall) is taken over the questions that did not fail.
 */
import { macroMean, meanOf } from '../benchmarks/score.ts';
import { wilsonInterval } from '../benchmarks/statistics.ts';
import { isFailure } from '../rollout/trajectory.ts';
import type { ScoredAnswer } from './answer.ts';
import type { Figures, MeanFigure, ResultRow, SuiteResult } from './results.ts';

/** The mean of the values that are there; null of none. */
function figure(values: readonly (number | null)[]): MeanFigure | null {
  const there = values.filter((value) => value !== null);
  return there.length === 0 ? null : meanOf(there);
}

const asNumber = (truth: boolean | null) => (truth === null ? null : Number(truth));

function figuresOf(answers: readonly ScoredAnswer[]): Figures {
  const valid = answers.filter(({ stop }) => !isFailure(stop));
  return {
    exactMatch: figure(answers.map((a) => a.exactMatch)),
    f1: figure(answers.map((a) => a.f1)),
    substring: figure(answers.map((a) => a.substring)),
    recall: figure(valid.map((a) => a.recall)),
    searches: figure(valid.map((a) => a.searches.length)),
    newTokens: figure(valid.map((a) => a.newTokens)),
    promptTokens: figure(valid.map((a) => a.promptTokens)),
    wellFormed: figure(valid.map((a) => asNumber(a.wellFormed))),
  };
}

/** One suite; at least one answer. */
export function measureSuite(suite: string, answers: readonly ScoredAnswer[]): SuiteResult {
  const correct = answers.reduce((sum, a) => sum + a.exactMatch, 0);
  return {
    suite,
    questions: answers.length,
    failures: answers.filter(({ stop }) => isFailure(stop)).length,
    unanswered: answers.filter(({ stop, prediction }) => !isFailure(stop) && prediction === null).length,
    exactMatchInterval: wilsonInterval(correct, answers.length),
    ...figuresOf(answers),
  };
}

/** Every suite weighs the same; suites without a figure are left out of its mean. */
export function meanOfSuites(suites: readonly SuiteResult[]): Figures {
  const over = (name: keyof Figures): MeanFigure | null => {
    const figures = suites.map((suite) => suite[name]).filter((each) => each !== null);
    return figures.length === 0 ? null : macroMean(figures);
  };
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
): MeanFigure | null {
  const valid = [...answers.values()].filter((a) => a.baseline === baseline && !isFailure(a.stop));
  const bySuite = suites.map(({ suite }) => figure(valid.filter((a) => a.suite === suite).map((a) => a.seconds)));
  const there = bySuite.filter((each) => each !== null);
  return there.length === 0 ? null : macroMean(there);
}
