/**
 * Nothing on the page of a run is a number that a command does not print: every figure of every answer that the page is given is held
 * against `evolve --json`, `view --csv`, the run's own files, or a plain loop over its shards. One that nothing here accounts for fails.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { clock } from '../base/clock.ts';
import { capture } from '../cli/testing/capture.ts';
import { type Ask, apiOf } from './api.ts';
import { Library } from './library.ts';
import { expectExplained, holding } from './testing/explained.ts';
import {
  holds,
  type Line,
  linesOf,
  markNames,
  type Plain,
  plainChoices,
  plainHistograms,
  plainRollouts,
} from './testing/plain-rollouts.ts';
import type { Overview, Rollouts, Table } from './wire.ts';

const SETTINGS = [
  ...['evaluation.questions=3', 'evaluation.searches=[4]', 'grpo.steps=[2]', 'pool.questions=12', 'gate.questions=6'],
  ...['guards.heldOutQuestions=4', 'guards.every=2', 'distill.maxSteps=2'],
];
let folder: string;
let ask: Ask;
/** What `evolve --json` printed, and metrics.jsonl. */
let printed: Line;
let metrics: Line[];
let all: Plain[];

beforeAll(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), 'figures-')), 'run');
  const settings = SETTINGS.flatMap((one) => ['--set', one]);
  const { code, out } = await capture('evolve', '--preset', 'smoke', ...settings, '--json', '--out', folder);
  expect(code).toBe(0);
  printed = JSON.parse(out);
  const text = readFileSync(path.join(folder, 'metrics.jsonl'), 'utf8');
  metrics = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  all = plainRollouts(folder);
  ask = apiOf(await Library.open(folder));
  for (let read = false; !read; await setTimeout(20)) {
    const { textShards, ofShards } = (await asked('index')) as Line;
    read = ofShards > 0 && textShards === ofShards;
  }
  // A whole run, on a machine on which others work too.
}, 600_000);
afterAll(() => rm(path.dirname(folder), { recursive: true, force: true }));

const asked = (what: string, query: ConstructorParameters<typeof URLSearchParams>[0] = '') => {
  const asking = new URLSearchParams(query);
  asking.set('source', '.');
  return ask(what, asking);
};

/** The rollouts that `view --csv` prints for a filter, in its order, which are those that a plain reading of it leaves. */
async function foundBy(filter: string): Promise<Plain[]> {
  const { code, out } = await capture('view', folder, '--csv', '--filter', filter);
  expect(code).toBe(0);
  const keys = [...out.matchAll(/^[\w-]+:\d+(?=,)/gm)].map(([key]) => key);
  const query = new URLSearchParams(filter);
  expect(keys.toSorted(), filter).toEqual(all.flatMap((one) => (holds(query, one) ? [one.key] : [])).toSorted());
  const byKey = new Map(all.map((one) => [one.key, one]));
  return keys.map((key) => byKey.get(key)!);
}

const text = (estimate: { mean: number; standardError: number | null } | null, decimals: number) => {
  if (estimate === null) return '–';
  const { mean, standardError } = estimate;
  return `${mean.toFixed(decimals)}${standardError === null ? '' : ` ±${standardError.toFixed(decimals)}`}`;
};
const labels: Readonly<Record<string, string>> = {
  ...{ base: 'base', 'grpo-1': 'GRPO 1', 'pool-1': 'pool 1', 'gate-1': 'gate 1', 'e1-1': 'E1 1' },
};
const behaviour = [
  ['F1', 'f1', 3],
  ['searches', 'searches', 2],
  ['policy tokens', 'policyTokens', 1],
  ['well formed', 'wellFormed', 3],
  ['grounded', 'grounded', 3],
] as const;

/** Of each mode a table, from what `evolve --json` prints. */
function tables(): Line[] {
  const { measurements } = printed.results;
  const modes = [...new Set<string>(measurements.map(({ mode }: Line) => `${mode.decoding}-${mode.searches}`))];
  return modes.map((mode) => {
    const own: Line[] = measurements.filter((one: Line) => `${one.mode.decoding}-${one.mode.searches}` === mode);
    const row = (label: string, more: string, of: (one: Line) => string) => ({
      label,
      cells: own.map((one) => ({ text: of(one), query: `part=evaluation&stage=${one.stage}&mode=${mode}${more}` })),
    });
    const suites: string[] = own[0].suites.map(({ suite }: Line) => suite);
    return {
      title: holding(mode.split('-')[1]!),
      header: own.map(({ stage }) => labels[stage]),
      rows: [
        ...suites.map((suite, i) => row(suite, `&suite=${suite}`, (one) => text(one.suites[i].exactMatch, 3))),
        row('mean', '', (one) => text(one.mean.exactMatch, 3)),
        ...behaviour.map(([label, name, decimals]) => row(label, '', (one) => text(one.mean[name], decimals))),
      ],
      notes: [holding(own[0].suites[0].questions), undefined],
    };
  });
}

/** From metrics.jsonl: each figure of each stage that trains, stages one behind the other. */
function curves(): Line[] {
  const line = (stage: string, metric: string, start: number, heldOut = false) => ({
    ...{ stage, label: labels[stage] },
    points: metrics
      .filter((one) => one.stage === (heldOut ? `${stage}-held-out` : stage))
      .map((one) => ({ step: one.step, at: start + one.step, value: one[metric] })),
  });
  const steps = Math.max(...metrics.filter(({ stage }) => stage === 'grpo-1').map(({ step }) => step));
  const both = (metric: string) => [line('grpo-1', metric, 0), line('e1-1', metric, steps)];
  return [
    [line('grpo-1', 'exactMatch', 0), line('grpo-1', 'exactMatch', 0, true)],
    ...['searches', 'policyTokens', 'wellFormed', 'zeroVariance'].map((metric) => [line('grpo-1', metric, 0)]),
    both('entropy'),
    [line('grpo-1', 'kl', 0)],
    [line('e1-1', 'kl', 0)],
    [line('e1-1', 'loss', 0)],
    both('gradientNorm'),
  ].map((lines, i) => ({ lines, ...(i === 5 && { means: holding(0) }) }));
}

it('an overview has the figures of `evolve --json` and metrics.jsonl', async () => {
  const { results, timing, seed } = printed;
  const mode = results.measurements[0].mode;
  const main: Line[] = results.measurements.filter((one: Line) => one.mode.decoding === mode.decoding);
  const [base, last] = [main[0].mean, main.at(-1).mean];
  const arrow = (name: string, decimals: number) =>
    holding(base[name].mean.toFixed(decimals), last[name].mean.toFixed(decimals));
  const both = (estimate: Line, decimals: number) => [
    estimate.mean.toFixed(decimals),
    estimate.standardError.toFixed(decimals),
  ];
  const [pool, gate] = [results.pools[0], results.gates[0]];
  const outcome = (stage: string) => results.outcomes.find((one: Line) => one.stage === stage);
  const { versions, hashes, inputs, settings } = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8'));
  const stage = (name: string, note: unknown, query: string | null) => ({ name, label: labels[name], note, query });
  const told = holding(
    ...[...both(base.exactMatch, 3), ...both(last.exactMatch, 3), 1],
    ...[base.searches.mean.toFixed(2), last.searches.mean.toFixed(2)],
  );
  const shown = (await asked('overview')) as Overview;
  expectExplained(
    { ...shown, settings: JSON.parse(shown.settings) },
    {
      sentence: told,
      facts: [
        { value: arrow('exactMatch', 3) },
        { value: arrow('searches', 2) },
        { value: arrow('policyTokens', 1) },
        { value: arrow('grounded', 3) },
        {
          value: clock(timing.totalSeconds),
          means: holding(...['sampling', 'retrieval', 'training'].map((kind) => clock(timing[`${kind}Seconds`]))),
        },
        { value: holding(seed) },
        {},
      ],
      next: [
        { command: `search-e1 ask --policy ${folder}` },
        { command: `search-e1 evaluate --policy ${folder} --out evaluations/run` },
        { command: `search-e1 export ${folder} --out policies/run` },
      ],
      stages: [
        stage('grpo-1', holding(outcome('grpo-1').steps), 'stage=grpo-1'),
        stage(
          'pool-1',
          holding(
            ...[pool.rollouts, pool.pairs, pool.wrongStudents],
            ...[pool.expertSearches.toFixed(2), pool.studentSearches.toFixed(2)],
          ),
          'stage=pool-1',
        ),
        stage(
          'gate-1',
          holding(
            ...[...both(gate.plain.exactMatch, 3), ...both(gate.privileged.exactMatch, 3)],
            ...[...both(gate.plain.searches, 2), ...both(gate.privileged.searches, 2)],
          ),
          'stage=gate-1',
        ),
        stage('e1-1', holding(outcome('e1-1').steps), null),
      ],
      tables: tables(),
      curves: curves(),
      settings: { versions, hashes, inputs, settings },
      pairStages: ['e1-1'],
    },
    'overview',
  );
});

it('each cell of exact match is the mean of the rollouts that it leads to', async () => {
  const { tables: shown } = (await asked('overview')) as Overview;
  const measured = (table: Table) =>
    table.rows.slice(
      0,
      table.rows.findIndex(({ label }) => label === 'mean'),
    );
  for (const { label, cells } of shown.flatMap(measured))
    for (const cell of cells) {
      const right = (await foundBy(cell.query!)).map(({ line }): number => line.correct);
      const mean = right.reduce((a, b) => a + b, 0) / right.length;
      const squares = right.reduce((sum, one) => sum + (one - mean) ** 2, 0);
      const standardError = Math.sqrt(squares / (right.length - 1) / right.length);
      expect(cell.text, `${label}, ${cell.query}`).toBe(text({ mean, standardError }, 3));
    }
});

it.each([
  '',
  ...markNames.map((name) => `mark=${name}`),
  ...['not=right', 'mark=wrong&not=misread', 'part=pool', 'part=step&stage=grpo-1', 'suite=nq&suite=hotpotqa'],
  ...['searches=2..3', 'advantage=0..<1', 'tokens=..40', 'step=1..1', 'stop=no-answer', 'mode=greedy-4'],
  ...['text=the', 'text=coach', 'stage=base&text=capital&suite=nq', 'sort=-tokens', 'stage=e1-1&sort=question'],
])('rollouts of "%s", their counts, choices and bins', async (filter) => {
  const found = await foundBy(filter);
  const shards = readdirSync(path.join(folder, 'trajectories')).length;
  const query = new URLSearchParams(filter);
  query.set('rows', '500');
  const shown = (await asked('rollouts', query)) as Rollouts;
  expectExplained(
    { ...shown, choices: byValue(shown.choices) },
    {
      ...{ total: found.length, of: all.length, read: { shards, ofShards: shards }, from: 0 },
      rows: found.map(({ row }) => row),
      counts: Object.fromEntries(markNames.map((name) => [name, found.filter(({ marks }) => marks.has(name)).length])),
      choices: byValue(plainChoices(all, new URLSearchParams(filter))),
      histograms: plainHistograms(found, shown.histograms),
    },
    filter,
  );
});

const byValue = (choices: Readonly<Record<string, readonly { readonly value: string }[]>>) =>
  Object.fromEntries(
    Object.entries(choices).map(([name, list]) => [name, list.toSorted((a, b) => (a.value < b.value ? -1 : 1))]),
  );

/** One rollout as its line has it; the place is that among the rollouts of a filter. */
function plainDetail({ row, raw, line }: Plain): Line {
  const lengths: number[] = line.authors;
  const mask = lengths.flatMap((length, i) => new Array<number>(length).fill(i % 2 === 0 ? 1 : 0));
  let own = 0;
  const over = (of: (n: number) => number) => mask.map((by) => (by === 1 ? of(own++) : null));
  const stream = (means: unknown, values: (number | null)[]) => {
    own = 0;
    return { ...(means !== undefined && { means }), values };
  };
  const { advantage, kl } = line.training ?? {};
  let at = 0;
  let turn = -1;
  const searches = [...line.searches];
  const turns = lengths.flatMap((length, i) => {
    if (length === 0) return [];
    at += length;
    if (i % 2 === 0) turn += 1;
    const search = i % 2 === 1 && searches[0]?.turn === turn ? searches.shift() : undefined;
    const { query, passages } = search || {};
    return [{ tokens: [at - length, at], search: search ? { query, passages } : null }];
  });
  return {
    row,
    ...{ prompt: line.text.prompt, promptIds: line.prompt, raw },
    turns: turns.map((one, i) => ({ ...one, text: line.text.response[i] })),
    tokens: {
      ...{ ids: line.ids, mask },
      streams: [
        stream(
          holding(0, '0.7'),
          over((n) => -Math.fround(line.logprobs[n])),
        ),
        ...(advantage === undefined
          ? []
          : [
              stream(
                holding(0, 0),
                over((n) => advantage[n] ?? advantage),
              ),
            ]),
        ...(kl === undefined
          ? []
          : [
              stream(
                undefined,
                over((n) => kl[n]),
              ),
            ]),
        stream(undefined, mask),
      ],
    },
  };
}
const placeOf = (keys: readonly string[], at: number) => ({
  ...{ at: at + 1, of: keys.length, previous: keys[at - 1] ?? null, next: keys[at + 1] ?? null },
});

it('a rollout and its group have the figures of their lines', async () => {
  const found = await foundBy('not=right');
  const keys = found.map(({ key }) => key);
  for (const [i, one] of found.entries()) {
    const shown = await asked('rollout', { key: one.key, not: 'right' });
    expectExplained(shown, { ...plainDetail(one), place: placeOf(keys, i) }, one.key);
  }
  for (const { row } of all.filter((one) => one.row.rollout === 1)) {
    const { shard } = row.place;
    const group = all.filter((one) => one.row.place.shard === shard && one.row.about.id === row.about.id);
    const lines = group.toSorted((a, b) => a.row.line - b.row.line).map(plainDetail);
    expectExplained(await asked('group', { shard, question: row.about.id }), lines, `${shard} ${row.about.id}`);
  }
});

it('pairs have the KL of their lines, and the rollouts of the pool that they were mined from', async () => {
  const pairs = [...linesOf(folder, 'pairs')].flatMap(([shard, lines]) =>
    lines.map((raw, i) => {
      const line: Line = JSON.parse(raw);
      const values: number[] = line.kl.map(Math.fround).filter((_: number, t: number) => line.mask[t] === 1);
      return {
        line,
        plain: {
          ...{ key: `${shard}:${i}`, stage: 'e1-1', step: Number(shard.slice(-4)) },
          ...{
            questionId: line.questionId,
            question: line.question,
            gold: line.gold,
            studentCorrect: line.student.correct,
          },
          ...{ studentSearches: line.student.searches, expertSearches: line.expert.searches, tokens: values.length },
          meanKl: values.reduce((sum, one) => sum + one, 0) / values.length,
          maxKl: Math.max(...values),
        },
      };
    }),
  );
  expect(pairs).toHaveLength(printed.results.pools[0].pairs);
  pairs.sort((a, b) => b.plain.meanKl - a.plain.meanKl);
  expectExplained(await asked('pairs'), { total: pairs.length, pairs: pairs.map(({ plain }) => plain) }, 'pairs');
  const keys = pairs.map(({ plain }) => plain.key);
  for (const [i, { line, plain }] of pairs.entries()) {
    const group = all.filter(({ row }) => row.place.part === 'pool' && row.about.id === line.questionId);
    const of = (rollout: number) => group.find(({ row }) => row.rollout === rollout)!;
    const [expert, student] = [of(line.expert.rollout), of(line.student.rollout)];
    // What is said of the choice is so.
    const right = group.filter((one) => one.line.correct === 1 && one.line.wellFormed);
    expect(expert.row.searches).toBe(Math.min(...right.map(({ row }) => row.searches)));
    const shown = await asked('pair', { key: plain.key });
    expectExplained(
      shown,
      {
        line: plain,
        why: holding(expert.row.searches, student.row.searches),
        ...{ expert: plainDetail(expert), student: plainDetail(student) },
        ...{ teacherPrompt: line.text.teacherPrompt, studentPrompt: line.text.studentPrompt },
        tokens: {
          ...{ ids: line.ids, mask: line.mask },
          streams: [
            { values: line.kl.map((one: number, t: number) => (line.mask[t] === 1 ? Math.fround(one) : null)) },
          ],
        },
        place: placeOf(keys, i),
      },
      plain.key,
    );
  }
});

it('a comparison counts the questions of both sides as a loop over them does', async () => {
  const stages = ['base', 'grpo-1', 'e1-1'];
  const modes = ['sampled-4', 'greedy-4'];
  const side = (stage: string, mode: string) => JSON.stringify(['.', stage, mode]);
  const label = (stage: string) => holding(...(stage === 'base' ? [4] : [1, 4]));
  expectExplained(
    ((await asked('sides')) as Line[]).toSorted((a, b) => (side(a.stage, a.mode) < side(b.stage, b.mode) ? -1 : 1)),
    stages
      .flatMap((stage) => modes.map((mode) => ({ source: '.', stage, mode, label: label(stage) })))
      .toSorted((a, b) => (side(a.stage, a.mode) < side(b.stage, b.mode) ? -1 : 1)),
    'sides',
  );
  for (const mode of modes) {
    const [before, after] = [await foundBy(`stage=base&mode=${mode}`), await foundBy(`stage=e1-1&mode=${mode}`)];
    const questions = before.map((a) => {
      const b = after.find(({ row }) => row.about.id === a.row.about.id && row.about.suite === a.row.about.suite)!;
      return { id: a.row.about.id, suite: a.row.about.suite, question: a.row.about.question, a: a.row, b: b.row };
    });
    const tally = (list: typeof questions) => {
      const counts = { gained: 0, lost: 0, right: 0, wrong: 0, a: 0, b: 0 };
      for (const { a, b } of list) {
        counts[a.reward === 1 ? (b.reward === 1 ? 'right' : 'lost') : b.reward === 1 ? 'gained' : 'wrong'] += 1;
        counts.a += a.reward;
        counts.b += b.reward;
      }
      return counts;
    };
    const { gained, lost, right, wrong } = tally(questions);
    const suites = [...new Set(questions.map(({ suite }) => suite))];
    expectExplained(
      await asked('compare', { a: side('base', mode), b: side('e1-1', mode) }),
      {
        ...{ a: label('base'), b: label('e1-1') },
        sentence: holding(questions.length, gained, lost, right, wrong),
        counts: { gained, lost, right, wrong },
        suites: suites.map((suite) => {
          const own = questions.filter((one) => one.suite === suite);
          const { right: _, wrong: __, ...counts } = tally(own);
          return { suite, questions: own.length, ...counts };
        }),
        ...{ total: questions.length, questions },
      },
      mode,
    );
  }
});

it('how far a run has been read is how many files it has', async () => {
  const shards = readdirSync(path.join(folder, 'trajectories')).length;
  const state = { rows: all.length, shards, ofShards: shards, textShards: shards, unsearched: 0 };
  expectExplained(await asked('index'), state, 'index');
  expectExplained(await asked('sources'), [{}], 'sources');
});
