/** The same questions on two sides: two stages of a run, two runs, two evaluations. A pure function of rows. */
import { hasMark, type Row } from '../runs/rows/row.ts';
import type { ComparedQuestion, Comparison } from './wire.ts';

export const changes = ['gained', 'lost', 'right', 'wrong', 'all'] as const;
export type Change = (typeof changes)[number];

/** By suite, question and rollout; what failed on a side is no answer and is left out. */
export function matched(a: readonly Row[], b: readonly Row[]): ComparedQuestion[] {
  const key = ({ about, rollout }: Row) => JSON.stringify([about.suite, about.id, rollout]);
  const other = new Map(b.filter((row) => !hasMark(row, 'failed')).map((row) => [key(row), row]));
  return a.flatMap((row) => {
    const same = hasMark(row, 'failed') ? undefined : other.get(key(row));
    if (same === undefined) return [];
    const { suite, id, question, gold } = row.about;
    return [{ suite, id, question: question ?? same.about.question, gold: gold ?? same.about.gold, a: row, b: same }];
  });
}

export function changeOf({ a, b }: ComparedQuestion): Exclude<Change, 'all'> {
  const [before, after] = [hasMark(a, 'right'), hasMark(b, 'right')];
  if (before === after) return before ? 'right' : 'wrong';
  return after ? 'gained' : 'lost';
}

export function compare(
  names: { readonly a: string; readonly b: string },
  all: readonly ComparedQuestion[],
  { change, suite }: { readonly change: Change; readonly suite: string | null },
  most: number,
): Comparison {
  const counts = { gained: 0, lost: 0, right: 0, wrong: 0 };
  const suites = new Map<
    string,
    { suite: string; questions: number; a: number; b: number; gained: number; lost: number }
  >();
  for (const one of all) {
    const own = changeOf(one);
    counts[own] += 1;
    const line = suites.get(one.suite) ?? { suite: one.suite, questions: 0, a: 0, b: 0, gained: 0, lost: 0 };
    suites.set(one.suite, line);
    line.questions += 1;
    if (own === 'gained' || own === 'lost') line[own] += 1;
    if (hasMark(one.a, 'right')) line.a += 1;
    if (hasMark(one.b, 'right')) line.b += 1;
  }
  const chosen = all.filter(
    (one) => (change === 'all' || changeOf(one) === change) && (suite === null || one.suite === suite),
  );
  const { gained, lost, right, wrong } = counts;
  const sentence =
    all.length === 0
      ? 'No question was asked on both sides.'
      : `Of ${all.length} answers to the same questions ${gained} became right, ${lost} became wrong, ${right} stayed right and ${wrong} wrong.`;
  return {
    ...names,
    sentence,
    counts,
    suites: [...suites.values()],
    questions: chosen.slice(0, most),
    total: chosen.length,
  };
}
