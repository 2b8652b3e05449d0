/** A run opened from the rows that it wrote beside its shards is the run opened from its shards: the same rows, counts and finds. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RunDirectory } from '../runs/run-directory.ts';
import { smallConfig } from '../runs/testing/run-fixture.ts';
import { Collection } from './collection.ts';
import { everything } from './filter.ts';
import { said } from './testing/view-fixture.ts';

let run: string;
beforeEach(async () => {
  run = path.join(await mkdtemp(path.join(tmpdir(), 'collection-')), 'run');
  const directory = await RunDirectory.create(run, smallConfig());
  await directory.writeTrajectories('base-greedy-4', [
    said({ id: 'a' }),
    said({ id: 'b', answer: 'Ünlike', correct: 0 }),
  ]);
  await directory.writeTrajectories('e1-1-greedy-4', [
    said({ id: 'a', answer: 'lead', correct: 0 }),
    said({ id: 'b' }),
  ]);
  await directory.writeTrajectories('grpo-1-step-0001', [
    said({ id: 'c' }),
    said({ id: 'c', rollout: 1, think: 'so "there"' }),
  ]);
  await directory.close();
});
afterEach(() => rm(path.dirname(run), { recursive: true, force: true }));

const opened = (known: () => Promise<never> = () => Promise.reject(new Error('not asked'))) =>
  new Collection({ folder: run, kind: 'run', known, knownAs: 'run' });
const texts = ['gold', 'ÜNLIKE', 'so "there"', 'what is c', 'a', 'nowhere'];
const finds = (one: Collection) =>
  texts.map((text) => one.select({ ...everything, text }).map(({ place, line }) => `${place.shard}:${line}`));

it('whether all of its rows are there, some, or none', async () => {
  const whole = opened();
  await whole.refresh();
  expect(whole.state).toMatchObject({ rows: 6, shards: 3, ofShards: 3, textShards: 3, faults: [], unsearched: 0 });
  const index = path.join(run, 'index');
  await writeFile(path.join(index, 'base-greedy-4.json.gz'), 'damaged');
  const some = opened();
  await some.refresh();
  await rm(index, { recursive: true });
  const none = opened();
  await none.refresh();
  for (const other of [some, none]) {
    expect(other.rows).toEqual(whole.rows);
    expect(finds(other)).toEqual(finds(whole));
  }
  expect(finds(whole).map(({ length }) => length)).toEqual([6, 1, 1, 2, 6, 0]);
});

it('has its rows before its texts, and a shard that is damaged is told', async () => {
  const shard = path.join(run, 'trajectories', 'grpo-1-step-0001.jsonl.gz');
  const names = await readdir(path.join(run, 'index'));
  expect(names).toHaveLength(3);
  const one = opened();
  await one.ensure(() => true);
  expect(one.rows).toHaveLength(6);
  await one.refresh();
  const bytes = await readFile(shard);
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  await writeFile(shard, bytes);
  const damaged = opened();
  await damaged.refresh();
  // Its rows follow from what it was; what it is now is said.
  expect(damaged.rows).toEqual(one.rows);
  expect(damaged.state).toMatchObject({ shards: 3, textShards: 3 });
  expect(damaged.state.faults).toEqual([expect.stringContaining('grpo-1-step-0001.jsonl.gz: cannot be unpacked')]);
});
