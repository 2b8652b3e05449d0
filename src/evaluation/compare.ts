/**
 * Evaluations side by side: exact match with its standard error, the published rows, what differs between the conditions, and
 * paired differences where the questions agree.
 */
import { streamKey } from '../base/random.ts';
import { baselineTitle } from '../baselines/all.ts';
import { type Estimate, type Interval, mean, pairedBootstrap } from '../benchmarks/statistics.ts';
import { benchmarkNames } from '../benchmarks/suites/all.ts';
import { isFailure } from '../rollout/trajectory.ts';
import { answerKey } from './answer.ts';
import { suiteOf } from './figures-text.ts';
import { secondsOf } from './measure.ts';
import { type PublishedModel, type PublishedRow, publishedRows } from './published.ts';
import type { NamedEvaluation, ResultRow } from './results.ts';
import { warnAmongOurs, warnBesidePublished, weightNote } from './warnings.ts';

/** One of our rows: a baseline of an evaluation. */
export interface ComparedRow {
  readonly label: string;
  readonly evaluation: string;
  readonly row: ResultRow;
  /** A question was under way, mean of suites. */
  readonly seconds: Estimate | null;
}

export interface PublishedCells extends Pick<PublishedRow, 'model' | 'source' | 'caveats'> {
  readonly label: string;
  /** By suite of the comparison; null where nothing was published. */
  readonly exactMatch: Readonly<Record<string, number | null>>;
  /** Over the suites of the comparison, when all were published; of the seven benchmarks, as published. */
  readonly macro: number | null;
}

/** Row minus the first row, over the questions that both answered: the same id, question and gold answers. */
export interface PairedDifference {
  readonly label: string;
  readonly against: string;
  /** By suite; null where the questions are not the same. */
  readonly suites: Readonly<
    Record<string, (Interval & { readonly difference: number; readonly questions: number }) | null>
  >;
  /** Over all shared questions. */
  readonly all: (Interval & { readonly difference: number; readonly questions: number }) | null;
  /** Suites of which not every question was compared, and why: a sentence each. */
  readonly notes: readonly string[];
}

export interface Comparison {
  readonly schema: 1;
  readonly suites: readonly string[];
  readonly rows: readonly ComparedRow[];
  readonly published: readonly PublishedCells[];
  readonly differences: readonly PairedDifference[];
  readonly warnings: readonly string[];
}

/**
 * @param evaluations at least one; their names differ
 * @param models whose published rows stand beside
 */
export function compareEvaluations(
  evaluations: readonly NamedEvaluation[],
  models: readonly PublishedModel[] = ['Qwen2.5-3B'],
): Comparison {
  const present = [...new Set(evaluations.flatMap(({ results }) => results.conditions.suites.map(({ name }) => name)))];
  // Benchmarks in the papers' order, the user's own suites behind them as they come.
  const suites = [
    ...benchmarkNames.filter((name) => present.includes(name)),
    ...present.filter((name) => !isBenchmark(name)),
  ];
  const rows = evaluations.flatMap(({ name, results, answers }) =>
    results.rows.map((row) => ({
      label: results.rows.length === 1 && evaluations.length > 1 ? name : labelOf(evaluations, name, row),
      evaluation: name,
      row,
      seconds: secondsOf(row, answers),
    })),
  );
  const published = suites.some(isBenchmark) ? publishedCells(suites, models) : [];
  return {
    schema: 1,
    suites,
    rows,
    published,
    differences: rows.slice(1).map((row) => pairedDifference(evaluations, suites, rows[0]!, row)),
    warnings: [
      ...(published.length === 0 ? [] : evaluations.flatMap((evaluation) => warnBesidePublished(evaluation))),
      ...warnAmongOurs(evaluations),
      ...weightNote(rows[0]!.row),
    ],
  };
}

export function isBenchmark(suite: string): boolean {
  return benchmarkNames.some((name) => name === suite);
}

function labelOf(evaluations: readonly NamedEvaluation[], name: string, row: ResultRow): string {
  const title = baselineTitle(row.baseline);
  return evaluations.length === 1 ? title : `${name}: ${title}`;
}

function publishedCells(suites: readonly string[], models: readonly PublishedModel[]): PublishedCells[] {
  const seven = suites.length === benchmarkNames.length && suites.every(isBenchmark);
  const rows = publishedRows.filter(({ model }) => models.includes(model));
  return rows.map(({ title, exactMatch, mean: publishedMean, model, source, caveats }) => {
    const cells = Object.fromEntries(
      suites.map((suite) => [suite, suite in exactMatch ? exactMatch[suite as keyof typeof exactMatch] : null]),
    );
    const values = Object.values(cells).filter((value) => value !== null);
    const macro = values.length === suites.length ? mean(values) : seven ? publishedMean : null;
    return { label: title, model, source, caveats, exactMatch: cells, macro };
  });
}

/** The macro mean of exact match, when the row has every suite of the comparison: means over different suites cannot be compared. */
export function macroOf({ row }: ComparedRow, suites: readonly string[]): Estimate | null {
  return suites.every((suite) => suiteOf(row, suite)) ? row.macro.exactMatch : null;
}

function pairedDifference(
  evaluations: readonly NamedEvaluation[],
  suites: readonly string[],
  first: ComparedRow,
  other: ComparedRow,
): PairedDifference {
  const [a, b] = [first, other].map(({ evaluation }) => evaluations.find(({ name }) => name === evaluation)!);
  const askedOf = (evaluation: NamedEvaluation, suite: string) =>
    evaluation.results.conditions.suites.find(({ name }) => name === suite);
  const notes: string[] = [];
  const scoresOf = (suite: string): [number[], number[]] => {
    const [before, after] = [askedOf(a!, suite), askedOf(b!, suite)];
    if (before === undefined || after === undefined) return [[], []];
    const sameSet = before.hash === after.hash;
    const own = [...a!.answers.values()].filter(
      (answer) => answer.suite === suite && answer.baseline === first.row.baseline,
    );
    let shared = 0;
    const pairs = own.flatMap((answer) => {
      const there = b!.answers.get(answerKey({ ...answer, baseline: other.row.baseline }));
      // Other choices of one file have questions in common; an id alone does not make two questions one.
      if (there === undefined || !(sameSet || (answer.asked !== undefined && answer.asked === there.asked))) return [];
      shared += 1;
      // A failure says nothing about the model: such a question is no pair.
      if (isFailure(answer.stop) || isFailure(there.stop)) return [];
      return [{ id: answer.id, scores: [answer.exactMatch, there.exactMatch] as const }];
    });
    if (!sameSet) notes.push(sharedNote(suite, shared, before.questions, after.questions));
    // Answers stand in the order in which they ended; the interval must not depend on it.
    pairs.sort((x, y) => (x.id < y.id ? -1 : 1));
    return [pairs.map(({ scores }) => scores[0]), pairs.map(({ scores }) => scores[1])];
  };
  const differ = (name: string, [before, after]: readonly [number[], number[]]) =>
    before.length === 0
      ? null
      : { ...pairedBootstrap(before, after, streamKey('compare', name)), questions: before.length };
  const scores = suites.map((suite) => scoresOf(suite));
  return {
    label: other.label,
    against: first.label,
    suites: Object.fromEntries(suites.map((suite, i) => [suite, differ(suite, scores[i]!)])),
    all: differ('all', [scores.flatMap(([before]) => before), scores.flatMap(([, after]) => after)]),
    notes,
  };
}

function sharedNote(suite: string, shared: number, before: number, after: number): string {
  return shared === 0
    ? `${suite}: no question in common (the same id, question and gold answers), so there is nothing to compare`
    : `${suite}: ${shared} questions in common, of ${before} and ${after}`;
}
