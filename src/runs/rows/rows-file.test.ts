/** Rows that a run writes of its shards: those that the viewer makes of the shards, under the stamp of the shard alone, and nothing rests on them. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Trajectory } from '../../rollout/trajectory.ts';
import { indexShard, readShardBytes } from '../../viewer/segment.ts';
import { endingOf } from '../../viewer/stamps.ts';
import { said } from '../../viewer/testing/view-fixture.ts';
import { RunDirectory } from '../run-directory.ts';
import { smallConfig } from '../testing/run-fixture.ts';
import { readRowsFile, rowsFile } from './rows-file.ts';

let run: string;
beforeEach(async () => {
  run = path.join(await mkdtemp(path.join(tmpdir(), 'rows-')), 'run');
});
afterEach(() => rm(path.dirname(run), { recursive: true, force: true }));

const shards: Readonly<Record<string, readonly Trajectory[]>> = {
  'base-greedy-4': [
    said({ id: 'a' }),
    said({ id: 'b', answer: null, stop: 'no-answer', correct: 0, wellFormed: false }),
    said({
      id: 'c',
      queries: ['The mine', 'mine', 'tin'],
      answer: 'ünlike "quoted"\n',
      correct: 0,
      shown: 'gold, tin',
    }),
    said({ id: 'd', queries: [], gold: ['yes'], answer: 'yes' }),
    said({ id: 'e', stop: 'search-failed', answer: null, correct: 0 }),
  ],
  'grpo-1-step-0001': [
    said({ id: 'f', training: { advantage: 0 } }),
    said({ id: 'f', rollout: 1, training: { advantage: [0.5, -1.5], kl: [0.1, 0.2] } }),
    said({ id: 'g', reward: -0.25, correct: 0 }),
    // Begun by the environment, as where a branch goes on.
    {
      ...said({ id: 'g', rollout: 1 }),
      mask: [0, 1],
      ids: [5, 6],
      logprobs: [0, -1],
      text: { prompt: 'p', response: ['gold', 'x'] },
    },
  ],
  'pool-1-0000': [],
};

async function write(): Promise<void> {
  const directory = await RunDirectory.create(run, smallConfig());
  for (const [shard, all] of Object.entries(shards)) await directory.writeTrajectories(shard, all);
  await directory.close();
}

async function stampOf(shard: string) {
  const file = path.join(run, 'trajectories', `${shard}.jsonl.gz`);
  const { size, mtimeMs: modified } = await stat(file);
  return { file, stamp: { shard, size, modified, ending: await endingOf(file, size) } };
}

it('are the rows that are made of the shard itself', async () => {
  await write();
  const known = () => Promise.reject(new Error('such a shard says all of itself'));
  for (const shard of Object.keys(shards)) {
    const { file, stamp } = await stampOf(shard);
    const made =
      shards[shard]!.length === 0 ? [] : (await indexShard(file, stamp, await readShardBytes(file), known, false)).rows;
    expect(await readRowsFile(run, shard, stamp)).toEqual(made);
  }
});

it('are passed over for another shard, in another form, and where a bit is another one or the end is missing', async () => {
  await write();
  const { stamp } = await stampOf('grpo-1-step-0001');
  const file = rowsFile(run, 'grpo-1-step-0001');
  const bytes = await readFile(file);
  expect(await readRowsFile(run, 'grpo-1-step-0001', { ...stamp, size: stamp.size + 1 })).toBeUndefined();
  expect(await readRowsFile(run, 'grpo-1-step-0001', { ...stamp, ending: '0011223344556677' })).toBeUndefined();
  await writeFile(rowsFile(run, 'grpo-1-step-0002'), bytes);
  expect(await readRowsFile(run, 'grpo-1-step-0002', stamp)).toBeUndefined();
  const whole = await readRowsFile(run, 'grpo-1-step-0001', stamp);
  for (let at = 0; at < bytes.length; at += 7) {
    const flipped = Buffer.from(bytes);
    flipped[at]! ^= 1 << (at % 8);
    await writeFile(file, flipped);
    const read = await readRowsFile(run, 'grpo-1-step-0001', stamp);
    // What gzip says of the file's time and system stands under no checksum, and says nothing of rows.
    if (read !== undefined) expect(read, `byte ${at}`).toEqual(whole);
    await writeFile(file, bytes.subarray(0, at));
    expect(await readRowsFile(run, 'grpo-1-step-0001', stamp), `${at} bytes`).toBeUndefined();
  }
});

it('that cannot be written are left out, and the run goes on', async () => {
  const directory = await RunDirectory.create(run, smallConfig());
  await writeFile(path.join(run, 'index'), 'no folder');
  await directory.writeTrajectories('pool-1-0000', [said({ id: 'a' })]);
  await rm(path.join(run, 'index'));
  await mkdir(path.join(run, 'index', 'pool-1-0001.json.gz'), { recursive: true });
  await directory.writeTrajectories('pool-1-0001', [said({ id: 'a' })]);
  await directory.close();
  expect(await readdir(path.join(run, 'trajectories'))).toEqual(['pool-1-0000.jsonl.gz', 'pool-1-0001.jsonl.gz']);
  expect(await readdir(path.join(run, 'index'))).toEqual(['pool-1-0001.json.gz']);
});

it('are not written of trajectories that do not say what was asked', async () => {
  const directory = await RunDirectory.create(run, smallConfig());
  const { question: _, ...nameless } = said({ id: 'a' });
  await directory.writeTrajectories('pool-1-0000', [said({ id: 'b' }), nameless]);
  await directory.close();
  expect(await readdir(run)).not.toContain('index');
});

it('follow from the run: a bit that changes in them is no damage, and one that is lost is not missed', async () => {
  await write();
  await chmod(rowsFile(run, 'base-greedy-4'), 0o600);
  await writeFile(rowsFile(run, 'base-greedy-4'), 'damaged');
  await rm(rowsFile(run, 'grpo-1-step-0001'));
  const again = await RunDirectory.open(run);
  expect(await again.readTrajectories('base-greedy-4')).toHaveLength(5);
  await again.close();
});
