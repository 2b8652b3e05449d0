/** A run directory for the viewer, of trajectories with texts of one's own; no engine runs. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { sealed } from '../../base/sealed.ts';
import type { PairRecord } from '../../evolve/journal.ts';
import type { Results } from '../../evolve/results.ts';
import type { Trajectory } from '../../rollout/trajectory.ts';
import { toLine } from '../../rollout/trajectory-file.ts';
import type { RunConfig } from '../../runs/config-record.ts';
import { pairToLine } from '../../runs/schemas.ts';
import {
  fixtureMetrics,
  fixturePair,
  fixtureResults,
  fixtureTiming,
  smallConfig,
} from '../../runs/testing/run-fixture.ts';

export interface Said {
  readonly id: string;
  readonly rollout?: number;
  readonly suite?: string;
  readonly question?: string;
  readonly gold?: readonly string[];
  readonly query?: string;
  /** One after another; [query] where they are not given. */
  readonly queries?: readonly string[];
  readonly shown?: string;
  readonly title?: string;
  readonly answer?: string | null;
  readonly think?: string;
  readonly correct?: 0 | 1;
  readonly reward?: number;
  readonly stop?: Trajectory['stop'];
  readonly wellFormed?: boolean;
  readonly training?: Trajectory['training'];
}

/** A rollout of searches (one, unless they are given) and an answer; ids say nothing. */
export function said(one: Said): Trajectory {
  const { id, rollout = 0, suite = 'nq', question = `what is ${id} ?`, gold = ['gold'], query = id, correct = 1 } = one;
  const {
    answer = 'gold',
    shown = `it is ${answer}`,
    title = id,
    think = 'hm',
    stop = 'answered',
    wellFormed = true,
  } = one;
  const { queries = [query] } = one;
  const response = [
    ...queries.flatMap((asked, i) => [
      `${i === 0 ? '' : ' '}<think> ${think} </think> <search> ${asked} </search>`,
      ` <information> [ ${title} ] ${shown} </information> `,
    ]),
    answer === null ? '<think> nothing' : `<answer> ${answer} </answer>`,
  ];
  const mask = response.flatMap((_, i): (0 | 1)[] => (i % 2 === 0 ? [1] : [0, 0]));
  return {
    questionId: id,
    dataset: suite,
    question,
    gold,
    rollout,
    prompt: [1, 2],
    ids: mask.map((_, i) => 5 + i),
    mask,
    logprobs: mask.map((own, i) => (own ? -0.5 / (1 + i / 3) : 0)),
    searches: queries.map((asked, turn) => ({ query: asked, turn, passages: [{ id: 'p1', title, score: 2.5 }] })),
    stop,
    answer,
    correct,
    reward: one.reward ?? correct,
    wellFormed,
    grounded: answer === null ? null : shown.includes(answer),
    text: { prompt: `<q> ${question} </q>`, response },
    ...(one.training && { training: one.training }),
  };
}

export async function writeShardOf(folder: string, shard: string, all: readonly Trajectory[]): Promise<void> {
  await mkdir(path.join(folder, 'trajectories'), { recursive: true });
  const text = all.map((one) => `${toLine(one)}\n`).join('');
  await writeFile(path.join(folder, 'trajectories', `${shard}.jsonl.gz`), gzipSync(text));
}

export interface RunParts {
  readonly config?: RunConfig;
  readonly results?: Results | null;
  readonly pairs?: readonly PairRecord[];
}

/** `results`: null of a run that has none yet. */
export async function writeRun(
  folder: string,
  shards: Readonly<Record<string, readonly Trajectory[]>>,
  { config = smallConfig(), results = fixtureResults(), pairs = [fixturePair('a')] }: RunParts = {},
): Promise<void> {
  await mkdir(path.join(folder, 'pairs'), { recursive: true });
  await writeFile(path.join(folder, 'config.json'), sealed(config));
  await writeFile(
    path.join(folder, 'metrics.jsonl'),
    fixtureMetrics()
      .map((one) => `${JSON.stringify(one)}\n`)
      .join(''),
  );
  if (results !== null) await writeFile(path.join(folder, 'results.json'), JSON.stringify(results));
  await writeFile(path.join(folder, 'timing.json'), JSON.stringify({ schema: 1, ...fixtureTiming }));
  const lines = pairs.map((pair) => `${pairToLine(pair)}\n`).join('');
  await writeFile(path.join(folder, 'pairs', 'e1-1-0001.jsonl.gz'), gzipSync(lines));
  for (const [shard, all] of Object.entries(shards)) await writeShardOf(folder, shard, all);
}
