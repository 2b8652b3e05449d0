/** Filters against plain computations over any rows, and addresses that bring them back. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { hasMark, type Mark, marks, type Row } from '../runs/rows/row.ts';
import {
  choicesOf,
  countMarks,
  type Filter,
  figureOf,
  figures,
  filterOf,
  histogramOf,
  matcher,
  queryOf,
  sorted,
  sortKeys,
} from './filter.ts';

const names = marks.map(({ name }) => name);
const [stages, suites] = [
  ['base', 'grpo-1'],
  ['nq', 'a&b=c'],
];
const anyRow: fc.Arbitrary<Row> = fc
  .record({
    stage: fc.constantFrom(...stages),
    step: fc.option(fc.nat({ max: 30 })),
    mode: fc.option(fc.constantFrom('greedy-4', 'sampled-2')),
    suite: fc.constantFrom(...suites),
    id: fc.constantFrom('q1', 'q2'),
    reward: fc.double({ min: -2, max: 2, noNaN: true }),
    advantage: fc.option(fc.double({ min: -2, max: 2, noNaN: true })),
    searches: fc.nat({ max: 40 }),
    tokens: fc.option(fc.nat({ max: 500 })),
    marks: fc.nat({ max: 2 ** names.length - 1 }),
  })
  .map(({ stage, step, mode, suite, id, ...rest }) => ({
    place: { shard: `${stage}-x`, part: 'step', stage, step, mode },
    line: 0,
    about: { id, suite, question: null, gold: null },
    rollout: 0,
    answer: null,
    stop: 'answered',
    grounded: null,
    retrieved: null,
    ...rest,
  }));
const rows = fc.array(anyRow, { maxLength: 60 });
const some = <T>(list: readonly T[]) => fc.subarray([...list]);
const bounds = fc.record(
  {
    from: fc.constantFrom(-Infinity, -1.5, 0, 0.25, 3),
    to: fc.constantFrom(Infinity, 0.5, 4, 1e-7),
    open: fc.constant(true),
  },
  { requiredKeys: ['from', 'to'], noNullPrototype: true },
);
const anyFilter: fc.Arbitrary<Filter> = fc.record({
  stages: some(stages),
  parts: some(['step']),
  modes: some(['greedy-4', 'sampled-2']),
  suites: some(suites),
  stops: some(['answered']),
  marks: some<Mark>(names).map((list) => list.slice(0, 2)),
  without: some<Mark>(names).map((list) => list.slice(0, 2)),
  bounds: fc.dictionary(
    fc.constantFrom(...figures),
    bounds.filter(({ from, to }) => from !== -Infinity || to !== Infinity),
    { noNullPrototype: true },
  ),
  question: fc.option(fc.constantFrom('q1', 'ü?&#')),
  text: fc.constantFrom('', 'a b&c'),
  sort: fc.option(fc.record({ by: fc.constantFrom(...sortKeys), down: fc.boolean() }, { noNullPrototype: true })),
});

/** What the documentation says, in so many words. */
function plainly(filter: Filter, row: Row): boolean {
  const has = marks.filter((_, bit) => Math.floor(row.marks / 2 ** bit) % 2 === 1).map(({ name }) => name);
  if (filter.marks.some((mark) => !has.includes(mark))) return false;
  if (filter.without.some((mark) => has.includes(mark))) return false;
  for (const [list, value] of [
    [filter.stages, row.place.stage],
    [filter.parts, row.place.part],
    [filter.modes, row.place.mode],
    [filter.suites, row.about.suite],
    [filter.stops, row.stop],
  ] as const)
    if (list.length > 0 && (value === null || !list.includes(value))) return false;
  if (filter.question !== null && row.about.id !== filter.question) return false;
  for (const [figure, { from, to, open }] of Object.entries(filter.bounds)) {
    const value = { ...row, step: row.place.step }[figure as 'step'];
    if (value === null || value < from || value > to || (open && value === to)) return false;
  }
  return true;
}

it('keep exactly the rows of which everything holds', () => {
  fc.assert(
    fc.property(rows, anyFilter, (all, filter) => {
      expect(all.filter(matcher(filter))).toEqual(all.filter((row) => plainly(filter, row)));
    }),
  );
});

it('come back from their addresses', () => {
  fc.assert(
    fc.property(anyFilter, (filter) => {
      expect(filterOf(new URLSearchParams(queryOf(filter).toString()))).toEqual(filter);
    }),
  );
  // What means nothing is passed over.
  expect(queryOf(filterOf(new URLSearchParams('mark=x&reward=abc&sort=-drop&tokens=..&step=1..')))).toEqual(
    new URLSearchParams('step=1..'),
  );
});

it('count what choosing a mark, a value or a bin would leave', () => {
  fc.assert(
    fc.property(rows, (all) => {
      const counts = countMarks(all);
      for (const name of names) expect(counts[name]).toBe(all.filter((row) => hasMark(row, name)).length);
      for (const { value, count } of choicesOf(all).suites)
        expect(count).toBe(all.filter(({ about }) => about.suite === value).length);
      for (const figure of figures) {
        const { bins, none } = histogramOf(all, figure);
        expect(bins.reduce((sum, { count }) => sum + count, none)).toBe(all.length);
        for (const { count, ...bin } of bins) {
          const chosen = filterOf(queryOf({ ...filterOf(new URLSearchParams()), bounds: { [figure]: bin } }));
          expect(all.filter(matcher(chosen))).toHaveLength(count);
        }
      }
    }),
  );
});

it('sort by a figure, rows that lack it last', () => {
  fc.assert(
    fc.property(rows, fc.constantFrom(...figures), fc.boolean(), (all, by, down) => {
      const values = sorted(all, { by, down }).map((row) => figureOf(row, by));
      const known = values.filter((value) => value !== null);
      expect(values.slice(known.length).every((value) => value === null)).toBe(true);
      expect(known).toEqual([...known].sort((a, b) => (down ? b - a : a - b)));
    }),
  );
});
