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
import { publishedRows } from './published.ts';
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

export interface PublishedCells {
  readonly label: string;
  /** By suite of the comparison; null where nothing was published. */
  readonly exactMatch: Readonly<Record<string, number | null>>;
  /** Over the suites of the comparison, when all were published. */
  readonly macro: number | null;
}

/** Row minus the first row, over the questions that both answered. */
export interface PairedDifference {
  readonly label: string;
  readonly against: string;
  /** By suite; null where the questions are not the same. */
  readonly suites: Readonly<
    Record<string, (Interval & { readonly difference: number; readonly questions: number }) | null>
  >;
  /** Over all shared questions. */
  readonly all: (Interval & { readonly difference: number; readonly questions: number }) | null;
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
 * @param withPublished whether the published rows stand beside
 */
export function compareEvaluations(evaluations: readonly NamedEvaluation[], withPublished = true): Comparison {
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
  const published = withPublished && suites.some(isBenchmark) ? publishedCells(suites) : [];
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

function publishedCells(suites: readonly string[]): PublishedCells[] {
  return publishedRows.map(({ title, exactMatch }) => {
    const cells = Object.fromEntries(
      suites.map((suite) => [suite, suite in exactMatch ? exactMatch[suite as keyof typeof exactMatch] : null]),
    );
    const values = Object.values(cells).filter((value) => value !== null);
    return { label: title, exactMatch: cells, macro: values.length === suites.length ? mean(values) : null };
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
  const scoresOf = (suite: string): [number[], number[]] => {
    const hash = (evaluation: NamedEvaluation) =>
      evaluation.results.conditions.suites.find(({ name }) => name === suite)?.hash;
    if (hash(a!) === undefined || hash(a!) !== hash(b!)) return [[], []];
    const pairs = [...a!.answers.values()].flatMap((answer) => {
      if (answer.suite !== suite || answer.baseline !== first.row.baseline) return [];
      const there = b!.answers.get(answerKey({ ...answer, baseline: other.row.baseline }));
      // A failure says nothing about the model: such a question is no pair.
      if (there === undefined || isFailure(answer.stop) || isFailure(there.stop)) return [];
      return [{ id: answer.id, scores: [answer.exactMatch, there.exactMatch] as const }];
    });
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
  };
}
