/** A run's rollouts by plain loops over its unpacked shards: what the viewer's rows, marks, counts and bins are held against. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect } from 'vitest';

/** In the order of `search-e1 view --help`; a row says them as a sum of powers of two. */
export const markNames = [
  'right',
  'wrong',
  'no-answer',
  'never-retrieved',
  'misread',
  'guessed',
  'malformed',
  'cut-off',
  'repeated',
  'no-search',
  'flat',
  'unsteady',
  'failed',
];

// biome-ignore lint/suspicious/noExplicitAny: lines as they stand in the file
export type Line = any;

export interface Plain {
  readonly key: string;
  readonly raw: string;
  readonly line: Line;
  readonly texts: readonly string[];
  readonly marks: Set<string>;
  // biome-ignore lint/suspicious/noExplicitAny: what the page should be given
  readonly row: any;
}

/** Lines of all shards of `trajectories/` or `pairs/` by the name of their shard. */
export function linesOf(folder: string, kind: 'trajectories' | 'pairs'): Map<string, string[]> {
  const names = readdirSync(path.join(folder, kind)).filter((name) => name.endsWith('.jsonl.gz'));
  return new Map(
    names.map((name) => {
      const text = gunzipSync(readFileSync(path.join(folder, kind, name))).toString();
      return [name.replace('.jsonl.gz', ''), text.trimEnd().split('\n')];
    }),
  );
}

function placeOf(shard: string) {
  const kinds = {
    evaluation: /^(?<stage>.+)-(?<mode>(?:sampled|greedy)-\d+)$/,
    'held-out': /^(?<stage>.+)-held-out-step-(?<step>\d+)$/,
    step: /^(?<stage>.+)-step-(?<step>\d+)$/,
    pool: /^(?<stage>pool-\d+)-(?<step>\d{4})$/,
    experts: /^(?<stage>.+)-experts$/,
    plain: /^(?<stage>.+)-plain$/,
    privileged: /^(?<stage>.+)-privileged$/,
  };
  const [part, pattern] = Object.entries(kinds).find(([, one]) => one.test(shard))!;
  const { stage, step, mode } = pattern.exec(shard)!.groups!;
  return { shard, part, stage: stage!, step: step === undefined ? null : Number(step), mode: mode ?? null };
}

const normal = (text: string) =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s]/gu, '')
    .replace(/\b(a|an|the)\b/g, ' ')
    .split(/\s+/)
    .filter(Boolean)
    .join(' ');
const stands = (answer: string, texts: readonly string[]) =>
  texts.some((text) => ` ${normal(text)} `.includes(` ${normal(answer)} `));
const isYesNo = (answer: string) => ['yes', 'no', ''].includes(normal(answer));

function rolloutOf(shard: string, raw: string, number: number): Plain {
  const line = JSON.parse(raw);
  const { answer, gold, text, authors, stop, searches, training, grounded } = line;
  // Stretches by the policy and by the environment, in turn; of one without tokens there is no text.
  const by = (authors as number[]).map((length, i) => ({ length, isPolicy: i % 2 === 0 }));
  const turns = by.filter(({ length }) => length > 0);
  const shown = (text.response as string[]).filter((_, i) => !turns[i]!.isPolicy);
  let tokens = 0;
  for (const { length, isPolicy } of by) if (isPolicy) tokens += length;
  const asked = (gold as string[]).filter((one) => !isYesNo(one));
  const retrieved = asked.length === 0 ? null : asked.some((one) => stands(one, shown));
  const failed = !['answered', 'no-answer', 'response-full', 'context-full'].includes(stop);
  const right = line.correct === 1;
  const queries = searches.map(({ query }: Line) => normal(query));
  const marks = new Set<string>();
  const mark = (name: string, holds: boolean) => holds && marks.add(name);
  mark('right', !failed && right);
  mark('wrong', !failed && !right && answer !== null);
  mark('no-answer', !failed && answer === null);
  mark('never-retrieved', !failed && retrieved === false);
  mark('misread', !failed && retrieved === true && !right);
  mark('guessed', !failed && right && grounded === false);
  mark('malformed', !failed && !line.wellFormed);
  mark('cut-off', stop === 'response-full' || stop === 'context-full');
  mark('repeated', new Set(queries).size < queries.length);
  mark('no-search', !failed && queries.length === 0);
  mark('failed', failed);
  let advantage = training?.advantage ?? null;
  if (Array.isArray(advantage)) advantage = advantage.reduce((a, b) => a + b, 0) / advantage.length;
  const about = { id: line.questionId, suite: line.dataset, question: line.question, gold };
  const { rollout, reward } = line;
  return {
    key: `${shard}:${number}`,
    raw,
    line,
    texts: [line.question, ...gold, answer ?? '', ...text.response],
    marks,
    row: {
      ...{ place: placeOf(shard), line: number, about, rollout, answer, reward, advantage },
      ...{ searches: searches.length, tokens, stop, grounded, retrieved },
    },
  };
}

/** All of them, with the marks that only several rollouts together have, in no order that means anything. */
export function plainRollouts(folder: string): Plain[] {
  const all = [...linesOf(folder, 'trajectories')].flatMap(([shard, lines]) =>
    lines.map((line, i) => rolloutOf(shard, line, i)),
  );
  for (const one of all) {
    const { place, about, rollout } = one.row;
    const group = all.filter(({ row }) => row.place.shard === place.shard && row.about.id === about.id);
    const counted = group.filter(({ marks }) => !marks.has('failed')).map(({ row }) => row.reward);
    const isTrained = place.part === 'step' || place.part === 'pool';
    if (isTrained && counted.length > 1 && new Set(counted).size === 1) one.marks.add('flat');
    const same = all.filter(
      ({ row }) =>
        place.part === 'evaluation' &&
        row.place.part === 'evaluation' &&
        [row.place.mode, row.about.suite, row.about.id, row.rollout].join() ===
          [place.mode, about.suite, about.id, rollout].join(),
    );
    const isWrong = ({ marks }: Plain) => marks.has('wrong') || marks.has('no-answer');
    if (same.some(({ marks }) => marks.has('right')) && same.some(isWrong)) one.marks.add('unsteady');
  }
  for (const { row, marks } of all)
    row.marks = markNames.reduce((sum, name, bit) => sum + (marks.has(name) ? 2 ** bit : 0), 0);
  return all;
}

const figures: Readonly<Record<string, (one: Plain) => number | null>> = {
  reward: ({ row }) => row.reward,
  advantage: ({ row }) => row.advantage,
  searches: ({ row }) => row.searches,
  tokens: ({ row }) => row.tokens,
  step: ({ row }) => row.place.step,
};
const lists: Readonly<Record<string, readonly [list: string, of: (one: Plain) => string | null]>> = {
  stage: ['stages', ({ row }) => row.place.stage],
  part: ['parts', ({ row }) => row.place.part],
  mode: ['modes', ({ row }) => row.place.mode],
  suite: ['suites', ({ row }) => row.about.suite],
  stop: ['stops', ({ row }) => row.stop],
};

/** What `docs/viewing.md` says of an address, name by name. */
export function holds(query: URLSearchParams, one: Plain): boolean {
  for (const name of new Set(query.keys())) {
    const [value, ...more] = query.getAll(name) as [string];
    if (name in lists && ![value, ...more].includes(lists[name]![1](one)!)) return false;
    if (name === 'mark' && ![value, ...more].every((mark) => one.marks.has(mark))) return false;
    if (name === 'not' && [value, ...more].some((mark) => one.marks.has(mark))) return false;
    if (name === 'text' && !one.texts.some((text) => text.toLowerCase().includes(value.toLowerCase()))) return false;
    if (name in figures) {
      const [from, to] = value.split('..') as [string, string];
      const figure = figures[name]!(one);
      if (figure === null || (from !== '' && figure < Number(from))) return false;
      if (to.startsWith('<') ? figure >= Number(to.slice(1)) : to !== '' && figure > Number(to)) return false;
    }
  }
  return true;
}

/** Counts beside what can be chosen: of each list what choosing one of its values alone would leave. */
export function plainChoices(all: readonly Plain[], query: URLSearchParams) {
  return Object.fromEntries(
    Object.entries(lists).map(([name, [list, of]]) => {
      const others = new URLSearchParams(query);
      others.delete(name);
      const counts = new Map<string, number>();
      for (const one of all) {
        const value = of(one);
        if (value !== null && holds(others, one)) counts.set(value, (counts.get(value) ?? 0) + 1);
      }
      return [list, [...counts].map(([value, count]) => ({ value, count }))];
    }),
  );
}

// biome-ignore lint/suspicious/noExplicitAny: as the page is given them
export function plainHistograms(found: readonly Plain[], shown: readonly any[]) {
  return Object.entries(figures).map(([figure, of], i) => {
    const values = found.map(of).filter((value) => value !== null);
    const bins: Line[] = shown[i]?.bins ?? [];
    // Where bins begin is the page's own; from the least to the greatest value none may be missing.
    if (values.length > 0) {
      expect(bins[0].from).toBe(Math.min(...values));
      expect(bins.at(-1).to).toBe(Math.max(...values));
    }
    for (const [n, { from }] of bins.slice(1).entries()) expect(from).toBe(bins[n].open ? bins[n].to : bins[n].to + 1);
    return {
      figure,
      bins: bins.map(({ from, to, open }) => ({
        from,
        to,
        count: values.filter((value) => value >= from && (open ? value < to : value <= to)).length,
      })),
      none: found.length - values.length,
    };
  });
}
