/** A run directory for the viewer, of trajectories with texts of one's own; no engine runs. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { sealed } from '../../base/sealed.ts';
import type { Trajectory } from '../../rollout/trajectory.ts';
import { toLine } from '../../rollout/trajectory-file.ts';
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

/** A rollout of one search and an answer; ids say nothing. */
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
  const response = [
    `<think> ${think} </think> <search> ${query} </search>`,
    ` <information> [ ${title} ] ${shown} </information> `,
    answer === null ? '<think> nothing' : `<answer> ${answer} </answer>`,
  ];
  return {
    questionId: id,
    dataset: suite,
    question,
    gold,
    rollout,
    prompt: [1, 2],
    ids: [5, 6, 7, 8],
    mask: [1, 0, 0, 1],
    logprobs: [-0.5, 0, 0, -0.25],
    searches: [{ query, turn: 0, passages: [{ id: 'p1', title, score: 2.5 }] }],
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

export async function writeRun(folder: string, shards: Readonly<Record<string, readonly Trajectory[]>>): Promise<void> {
  await mkdir(path.join(folder, 'pairs'), { recursive: true });
  await writeFile(path.join(folder, 'config.json'), sealed(smallConfig()));
  await writeFile(
    path.join(folder, 'metrics.jsonl'),
    fixtureMetrics()
      .map((one) => `${JSON.stringify(one)}\n`)
      .join(''),
  );
  await writeFile(path.join(folder, 'results.json'), JSON.stringify(fixtureResults()));
  await writeFile(path.join(folder, 'timing.json'), JSON.stringify({ schema: 1, ...fixtureTiming }));
  await writeFile(path.join(folder, 'pairs', 'e1-1-0001.jsonl.gz'), gzipSync(`${pairToLine(fixturePair('a'))}\n`));
  for (const [shard, all] of Object.entries(shards)) await writeShardOf(folder, shard, all);
}
