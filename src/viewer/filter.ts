/**
 * Which trajectories are shown, as a pure function of a row: the same on the server, in an exported page and in tests. A filter is
 * what stands behind the question mark of an address, so that it can be shared. Nothing of Node may be imported here.
 */
import { isMark, type Mark, marks, type Row } from '../runs/rows/row.ts';

/** Figures that can be bounded and sorted by. */
export const figures = ['reward', 'advantage', 'searches', 'tokens', 'step'] as const;
export type Figure = (typeof figures)[number];

export interface Bounds {
  readonly from: number;
  readonly to: number;
  /** `to` itself is not meant: "0..<0.5". */
  readonly open?: boolean;
}

export const sortKeys = [...figures, 'question', 'stage'] as const;
export type SortKey = (typeof sortKeys)[number];

/** All that is given has to hold; of the names in a list, one. */
export interface Filter {
  readonly stages: readonly string[];
  readonly parts: readonly string[];
  readonly modes: readonly string[];
  readonly suites: readonly string[];
  readonly stops: readonly string[];
  /** All of them have to hold. */
  readonly marks: readonly Mark[];
  /** None of them may hold. */
  readonly without: readonly Mark[];
  readonly bounds: Readonly<Partial<Record<Figure, Bounds>>>;
  /** Id of the one question. */
  readonly question: string | null;
  /** Stands in question, answer, thoughts, queries or passages, in either case; '' asks nothing. Judged by a text search, not by `matches`. */
  readonly text: string;
  readonly sort: { readonly by: SortKey; readonly down: boolean } | null;
}

export const everything: Filter = {
  stages: [],
  parts: [],
  modes: [],
  suites: [],
  stops: [],
  marks: [],
  without: [],
  bounds: {},
  question: null,
  text: '',
  sort: null,
};

/** What may be one of several names. */
export const lists = { stage: 'stages', part: 'parts', mode: 'modes', suite: 'suites', stop: 'stops' } as const;

/** Reads an address; what means nothing is passed over, since people edit addresses. */
export function filterOf(query: URLSearchParams): Filter {
  const named = Object.fromEntries(Object.entries(lists).map(([name, list]) => [list, query.getAll(name)]));
  const bounds: Partial<Record<Figure, Bounds>> = {};
  for (const figure of figures) {
    const range = /^(-?(?:\d|\.\d)[\de.+-]*?)?\.\.(<?)(-?(?:\d|\.\d)[\de.+-]*)?$/.exec(query.get(figure) ?? '');
    const [from, to] = [Number(range?.[1] ?? -Infinity), Number(range?.[3] ?? Infinity)];
    if (!Number.isNaN(from) && !Number.isNaN(to) && (from !== -Infinity || to !== Infinity))
      bounds[figure] = { from, to, ...(range?.[2] === '<' && { open: true }) };
  }
  const [, minus, by] = /^(-?)(\w+)$/.exec(query.get('sort') ?? '') ?? [];
  return {
    ...everything,
    ...named,
    marks: query.getAll('mark').filter(isMark),
    without: query.getAll('not').filter(isMark),
    bounds,
    question: query.get('question'),
    text: query.get('text') ?? '',
    sort: sortKeys.includes(by as SortKey) ? { by: by as SortKey, down: minus === '-' } : null,
  };
}

/** The address of a filter; `filterOf` brings it back. */
export function queryOf(filter: Filter): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, list] of Object.entries(lists)) for (const value of filter[list]) query.append(name, value);
  for (const mark of filter.marks) query.append('mark', mark);
  for (const mark of filter.without) query.append('not', mark);
  const bound = (value: number) => (Number.isFinite(value) ? String(value) : '');
  for (const [figure, { from, to, open }] of Object.entries(filter.bounds))
    query.set(figure, `${bound(from)}..${open ? '<' : ''}${bound(to)}`);
  if (filter.question !== null) query.set('question', filter.question);
  if (filter.text !== '') query.set('text', filter.text);
  if (filter.sort !== null) query.set('sort', (filter.sort.down ? '-' : '') + filter.sort.by);
  return query;
}

/** The value of a figure; null where the row has none. */
export function figureOf(row: Row, figure: Figure): number | null {
  switch (figure) {
    case 'reward':
      return row.reward;
    case 'advantage':
      return row.advantage;
    case 'searches':
      return row.searches;
    case 'tokens':
      return row.tokens;
    case 'step':
      return row.place.step;
  }
}

const among = (list: readonly string[], value: string) => list.length === 0 || list.includes(value);
const bitsOf = (names: readonly Mark[]) =>
  marks.reduce((bits, { name }, bit) => (names.includes(name) ? bits | (1 << bit) : bits), 0);

/** The test of a filter, but for its text: one that cannot be said of a row (no step, no advantage) does not hold. */
export function matcher(filter: Filter): (row: Row) => boolean {
  const { stages, parts, modes, suites, stops, question } = filter;
  const [all, none] = [bitsOf(filter.marks), bitsOf(filter.without)];
  const bounds = Object.entries(filter.bounds) as [Figure, Bounds][];
  return (row) =>
    (row.marks & all) === all &&
    (row.marks & none) === 0 &&
    among(stages, row.place.stage) &&
    among(parts, row.place.part) &&
    (modes.length === 0 || (row.place.mode !== null && modes.includes(row.place.mode))) &&
    among(suites, row.about.suite) &&
    among(stops, row.stop) &&
    (question === null || row.about.id === question) &&
    bounds.every(([figure, { from, to, open }]) => {
      const value = figureOf(row, figure);
      return value !== null && value >= from && (open ? value < to : value <= to);
    });
}

/** Stable; rows that lack the figure come last either way. */
export function sorted(rows: readonly Row[], sort: Filter['sort']): readonly Row[] {
  if (sort === null) return rows;
  const { by, down } = sort;
  const value = (row: Row): number | string | null => {
    if (by === 'question') return row.about.question ?? row.about.id;
    return by === 'stage' ? row.place.stage : figureOf(row, by);
  };
  // Most values are those of many rows: only the values are sorted.
  const groups = Map.groupBy(rows, value);
  const lacking = groups.get(null) ?? [];
  groups.delete(null);
  const order = down ? -1 : 1;
  const values = [...groups.keys()].sort((a, b) => (a! < b! ? -order : a! > b! ? order : 0));
  return [...values.flatMap((key) => groups.get(key)!), ...lacking];
}

/** How many of the rows have each mark: what choosing it as well would leave. */
export function countMarks(rows: readonly Row[]): Record<Mark, number> {
  const counts = new Array<number>(marks.length).fill(0);
  for (const row of rows) for (let bit = 0; bit < marks.length; bit++) counts[bit]! += (row.marks >> bit) & 1;
  return Object.fromEntries(marks.map(({ name }, bit) => [name, counts[bit]!])) as Record<Mark, number>;
}

/** How many of the rows lie in each bin: what choosing it as bounds would leave. */
export interface Histogram {
  readonly figure: Figure;
  readonly bins: readonly (Bounds & { readonly count: number })[];
  /** Rows without the figure. */
  readonly none: number;
}

const MOST_BINS = 12;

/** Bins of whole numbers where all are whole; else twelve of one width. */
export function histogramOf(rows: readonly Row[], figure: Figure): Histogram {
  const all = new Float64Array(rows.length);
  let given = 0;
  let [low, high, whole] = [Infinity, -Infinity, true];
  for (const row of rows) {
    const value = figureOf(row, figure);
    if (value === null) continue;
    all[given++] = value;
    if (value < low) low = value;
    if (value > high) high = value;
    whole &&= Number.isInteger(value);
  }
  const [values, none] = [all.subarray(0, given), rows.length - given];
  if (given === 0) return { figure, bins: [], none };
  const width = whole ? Math.max(1, Math.ceil((high - low + 1) / MOST_BINS)) : (high - low) / MOST_BINS;
  const count = whole ? Math.floor((high - low) / width) + 1 : MOST_BINS;
  const edges = Array.from({ length: count }, (_, i) => Number((low + i * width).toPrecision(whole ? 15 : 6)));
  // The first edge is not rounded above the least value, nor the others out of order.
  edges[0] = low;
  const counts = new Array<number>(count).fill(0);
  for (const value of values) {
    let bin = count - 1;
    while (bin > 0 && edges[bin]! > value) bin -= 1;
    counts[bin]! += 1;
  }
  const bins = edges.map((from, i) => {
    const next = edges[i + 1];
    if (next === undefined) return { from, to: high, count: counts[i]! };
    return whole ? { from, to: next - 1, count: counts[i]! } : { from, to: next, open: true, count: counts[i]! };
  });
  return { figure, bins: bins.filter(({ from, to }) => from <= to), none };
}

/** The distinct values of what can be chosen from, with counts, in order of first appearance. */
export function choicesOf(rows: readonly Row[]): Record<'stages' | 'parts' | 'modes' | 'suites' | 'stops', Choice[]> {
  const found = { stages: new Map(), parts: new Map(), modes: new Map(), suites: new Map(), stops: new Map() };
  const add = (map: Map<string, number>, value: string | null, count: number) => {
    if (value !== null) map.set(value, (map.get(value) ?? 0) + count);
  };
  // Rows of a shard follow one another and share their place: counted once for all of them.
  for (let from = 0, to = 0; from < rows.length; from = to) {
    const { place } = rows[from]!;
    for (; to < rows.length && rows[to]!.place === place; to++) {
      add(found.suites, rows[to]!.about.suite, 1);
      add(found.stops, rows[to]!.stop, 1);
    }
    add(found.stages, place.stage, to - from);
    add(found.parts, place.part, to - from);
    add(found.modes, place.mode, to - from);
  }
  const list = (map: Map<string, number>): Choice[] => [...map].map(([value, count]) => ({ value, count }));
  return {
    stages: list(found.stages),
    parts: list(found.parts),
    modes: list(found.modes),
    suites: list(found.suites),
    stops: list(found.stops),
  };
}

/**
 * What could be chosen beside what is chosen, with what it would leave: of each list under everything else of the filter.
 * @param held all rows that hold the filter's text  @param rows those of them that the filter leaves
 */
export function choicesBeside(
  held: readonly Row[],
  rows: readonly Row[],
  filter: Filter,
): ReturnType<typeof choicesOf> {
  const choices = choicesOf(rows);
  for (const name of Object.values(lists))
    if (filter[name].length > 0) choices[name] = choicesOf(held.filter(matcher({ ...filter, [name]: [] })))[name];
  return choices;
}

export interface Choice {
  readonly value: string;
  readonly count: number;
}
