/** Forks of a real run at toy size: the same past bit for bit, and a future of their own. */
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../base/files.ts';
import { evolve } from '../evolve/evolve.ts';
import { openSetup } from '../evolve/open.ts';
import { presets } from '../evolve/presets.ts';
import type { Settings } from '../evolve/settings.ts';
import { presentVersions } from './config-record.ts';
import { forkRun } from './fork.ts';
import { RunDirectory } from './run-directory.ts';
import { RunFiles } from './run-files.ts';

const { smoke } = presets;
const settings: Settings = {
  ...smoke,
  world: { seed: 12, trainingQuestions: 40, hops: [1, 2, 3], size: 1 },
  rollout: { ...smoke.rollout, concurrency: 32, searches: 2 },
  grpo: { ...smoke.grpo, steps: [2], questionsPerStep: 3, groupSize: 3 },
  pool: { ...smoke.pool, questions: 8, rollouts: 4 },
  gate: { ...smoke.gate, questions: 2 },
  distill: { ...smoke.distill, pairsPerStep: 1, maxSteps: 2, adapter: { rank: 4, alpha: 8 } },
  evaluation: { questions: 1, samples: 1, searches: [1], decoding: ['greedy'] },
  guards: { ...smoke.guards, heldOutQuestions: 2, every: 2 },
};
/** At the settings' own teacher temperature, not 1, the same prompt would teach sharper choices. */
const control: Settings = {
  ...settings,
  distill: { ...settings.distill, teacherSees: 'nothing', teacherTemperature: 1 },
};
const inputs = {
  questions: null,
  corpus: null,
  tokenizer: null,
  model: null,
  template: null,
  evaluate: [],
  threads: 1,
};

let folder: string;
const at = (...names: string[]) => path.join(folder, ...names);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'fork-'));
  await sit('trunk', 'gate-1');
  await forkRun(at('trunk'), at('same'), settings);
  await forkRun(at('trunk'), at('nothing'), control);
  for (const name of ['same', 'nothing', 'trunk']) await sit(name);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Begins or continues the run of that name. */
async function sit(name: string, before?: string): Promise<void> {
  const fresh = !(await readdir(folder)).includes(name);
  const known = fresh ? settings : (await new RunFiles(at(name)).config()).settings;
  const { setup, hashes, engine, close } = await openSetup(inputs, known);
  const config = { schema: 1 as const, preset: 'toy', settings, inputs, hashes, engine, versions: presentVersions() };
  const run = fresh ? await RunDirectory.create(at(name), config) : await RunDirectory.open(at(name));
  try {
    await evolve(setup, known, run, before === undefined ? {} : { before });
  } finally {
    await run.close();
    await close();
  }
}

/** Hashes of all files but those of times and checkpoints; and of the kept checkpoints' weights by name. */
async function contents(name: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const entry of await readdir(at(name), { recursive: true, withFileTypes: true })) {
    const file = path.relative(at(name), path.join(entry.parentPath, entry.name));
    if (!entry.isFile() || file === 'timing.json') continue;
    const [, kept] = /^checkpoints\/\d+-([^/]+)\/model\.safetensors$/.exec(file) ?? [];
    if (file.startsWith('checkpoints') && kept === undefined) continue;
    hashes[kept ?? file] = sha256(await readFile(at(name, file)));
  }
  return hashes;
}

describe('a forked run', () => {
  it('with the same settings ends with the same bits as the run that it was forked from', async () => {
    expect(await contents('same')).toEqual(await contents('trunk'));
  });

  it('shares checkpoints and shards with it on disk, and nothing that grows', async () => {
    await forkRun(at('trunk'), at('shared'), settings);
    const inode = async (...names: string[]) => (await stat(at(...names))).ino;
    const shared = await readdir(at('shared'), { recursive: true, withFileTypes: true });
    for (const entry of shared.filter((one) => one.isFile())) {
      const file = path.relative(at('shared'), path.join(entry.parentPath, entry.name));
      const same = (await inode('shared', file)) === (await inode('trunk', file));
      expect([file, same]).toEqual([file, /^(checkpoints|trajectories|pairs|index)\b/.test(file)]);
    }
  });

  it('whose teacher sees nothing has a loss of exactly 0 and moves no weight', async () => {
    const files = new RunFiles(at('nothing'));
    const losses = (await files.metrics()).filter(({ stage }) => stage === 'e1-1');
    expect(losses.map(({ loss, skipped }) => [loss, skipped])).toEqual([
      [0, 1],
      [0, 1],
    ]);
    const weights = await contents('nothing');
    expect(weights['e1-1']).toBe(weights['grpo-1']);
    const trained = await contents('trunk');
    expect(weights['grpo-1']).toBe(trained['grpo-1']);
    expect(trained['e1-1']).not.toBe(trained['grpo-1']);
  });

  it.each<[string, Partial<Settings>, RegExp]>([
    ['another seed', { seed: 9 }, /seed differs/],
    ['another pool', { pool: { ...settings.pool, rollouts: 3 } }, /pool differs/],
    ['another number of steps', { grpo: { ...settings.grpo, steps: [5] } }, /grpo\.steps of cycle 1 differs/],
    ['another method', { method: 'grpo' }, /its first \d+ stages are not those/],
  ])('is refused with %s', async (_name, change, message) => {
    await expect(forkRun(at('trunk'), at('refused'), { ...settings, ...change })).rejects.toThrow(message);
    expect((await readdir(folder)).filter((name) => name.startsWith('refused'))).toEqual([]);
  });

  it('is refused where something is, and from something that is no run', async () => {
    await expect(forkRun(at('trunk'), at('trunk'), settings)).rejects.toThrow(/trunk: is there already/);
    await expect(forkRun(folder, at('other'), settings)).rejects.toThrow(/not a run directory/);
  });
});
