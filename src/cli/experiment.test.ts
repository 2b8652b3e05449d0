/**
 * A whole experiment at toy size, by the real command: killed and continued, it repeats nothing and leaves the files that it
 * would have left undisturbed; its arms share their past; what cannot be run is refused.
 */
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256 } from '../base/files.ts';
import type { Question } from '../base/question.ts';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { RunFiles } from '../runs/run-files.ts';
import { generateWorld } from '../world/generate.ts';
import { evaluationQuestions, trainingQuestions } from '../world/suites.ts';
import { capture } from './testing/capture.ts';
import { runCommand } from './testing/command.ts';

const toy = {
  arms: ['e1', 'grpo-tokens', 'same-prompt'],
  preset: 'smoke',
  worlds: [12],
  models: [BASE_POLICY],
  settings: {
    world: { trainingQuestions: 40 },
    rollout: { concurrency: 32, searches: 2 },
    grpo: { steps: [1], questionsPerStep: 3, groupSize: 3 },
    pool: { questions: 6, rollouts: 4 },
    gate: { questions: 1 },
    distill: { pairsPerStep: 1, maxSteps: 1, adapter: { rank: 4, alpha: 8 } },
    evaluation: { questions: 1, searches: [1], decoding: ['greedy'] },
    guards: { heldOutQuestions: 1, every: 2 },
  },
};

let folder: string;
const at = (...names: string[]) => path.join(folder, ...names);
const experiment = (out: string, ...args: string[]) =>
  capture('experiment', at('toy.json'), '--jobs', '2', '--out', at(out), ...args);

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'experiment-'));
  await writeFile(at('toy.json'), JSON.stringify(toy));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The same in a process of its own, which is killed so many milliseconds after `when` was printed. */
async function killed(out: string, when: string, after: number): Promise<string | null> {
  const args = ['experiment', at('toy.json'), '--jobs', '2', '--out', at(out)];
  return (await runCommand(args, { when, after, signal: 'SIGKILL' })).signal;
}

/** Files below a folder of the experiment, without those that hold times or (latest.json) their hashes, and the lock of whoever was killed. */
async function filesOf(...names: string[]): Promise<string[]> {
  const timed = ['timing.json', 'state.json', 'latest.json', 'report.html', 'summary.json', 'findings.json'];
  const passing = [...timed, 'seed-001.jsonl.gz', 'lock.json'];
  const entries = await readdir(at(...names), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !passing.includes(entry.name))
    .map((entry) => path.relative(at(...names), path.join(entry.parentPath, entry.name)))
    .sort();
}

async function contents(name: string): Promise<Record<string, string>> {
  const hash = async (file: string) => [file, sha256(await readFile(at(name, file)))] as const;
  return Object.fromEntries(await Promise.all((await filesOf(name)).map(hash)));
}

async function writtenAt(...names: string[]): Promise<Record<string, number>> {
  const time = async (file: string) => [file, (await stat(at(...names, file))).mtimeMs] as const;
  return Object.fromEntries(await Promise.all((await filesOf(...names)).map(time)));
}

it('killed and continued, it repeats nothing and leaves what it would have left undisturbed', async () => {
  expect(await killed('grid', 'seed-001/grpo-tokens: grpo-2', 0)).toBe('SIGKILL');
  const shared = await writtenAt('grid', 'seed-001', 'shared');
  const e1 = await writtenAt('grid', 'seed-001', 'e1');

  const continued = await experiment('grid', '--json');
  expect(continued.code, continued.err).toBe(0);
  expect(await writtenAt('grid', 'seed-001', 'shared')).toEqual(shared);
  expect(await writtenAt('grid', 'seed-001', 'e1')).toEqual(e1);
  expect(JSON.parse(continued.out)).toMatchObject({
    name: 'toy',
    runs: toy.arms.map((arm) => ({ seed: 'seed-001', arm, directory: at('grid', 'seed-001', arm) })),
  });

  // The arm that was broken off, once more and undisturbed.
  const files = await contents('grid');
  expect(Object.keys(files)).toContain(path.join('seed-001', 'grpo-tokens', 'results.json'));
  await rm(at('grid', 'seed-001', 'grpo-tokens'), { recursive: true });
  await rm(at('grid', 'outcomes'), { recursive: true });
  const again = await experiment('grid');
  expect(again.code, again.err).toBe(0);
  expect(await contents('grid')).toEqual(files);
  expect(again.out).toMatch(/supported +The same prompt on both sides teaches nothing/);

  // Forks share their past; the same prompt teaches nothing.
  const metrics = async (arm: string) => new RunFiles(at('grid', 'seed-001', arm)).metrics();
  const past = async (arm: string) =>
    (await metrics(arm)).filter(({ stage }) => ['evaluate-base', 'grpo-1', 'evaluate-grpo-1'].includes(stage));
  expect((await past('e1')).length).toBe(3);
  for (const arm of ['grpo-tokens', 'same-prompt']) expect(await past(arm)).toEqual(await past('e1'));
  const losses = async (arm: string) => (await metrics(arm)).filter(({ stage }) => stage === 'e1-1').map((m) => m.loss);
  expect(await losses('same-prompt')).toEqual([0]);
  expect(await losses('e1')).not.toEqual([0]);
  // The budget of e1, in steps of a later round.
  const { settings } = await new RunFiles(at('grid', 'seed-001', 'grpo-tokens')).config();
  expect(settings.grpo.steps).toEqual([1, expect.any(Number)]);
  // The seed's own base.
  const { inputs } = await new RunFiles(at('grid', 'seed-001', 'e1')).config();
  expect(inputs.model).toBe(BASE_POLICY);

  // Its outcomes, brought to another folder, are all that it takes.
  await cp(at('grid', 'outcomes'), at('elsewhere', 'outcomes'), { recursive: true });
  const elsewhere = await experiment('elsewhere');
  expect(elsewhere.code, elsewhere.err).toBe(0);
  const verdicts = (text: string) => text.slice(0, text.indexOf('Report: '));
  expect(verdicts(elsewhere.out)).toBe(verdicts(again.out));
  expect(await readdir(at('elsewhere'))).not.toContain('seed-001');
});

it('takes the user’s own questions and passages in place of worlds', async () => {
  const world = generateWorld(12);
  const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const rows = (questions: readonly Question[]) =>
    questions.map(({ id, question, answers }) => ({ id, question, answers }));
  await writeFile(at('corpus.jsonl'), lines(world.passages));
  await writeFile(at('train.jsonl'), lines(rows(trainingQuestions(world, 40))));
  await writeFile(at('test.jsonl'), lines(rows(evaluationQuestions(world, 'nq', 2))));
  const { worlds: _, models: __, ...settings } = toy;
  await writeFile(at('toy.json'), JSON.stringify({ ...settings, arms: ['e1'], seeds: 2 }));
  const data = [
    '--questions',
    at('train.jsonl'),
    '--corpus',
    at('corpus.jsonl'),
    '--evaluate',
    `mine=${at('test.jsonl')}`,
  ];
  const own = [...data, '--model', BASE_POLICY, '--template', 'world'];
  const { code, out, err } = await experiment('own', ...own, '--json');
  expect(code, err).toBe(0);
  const results = await Promise.all(
    JSON.parse(out).runs.map(({ directory }: { directory: string }) => new RunFiles(directory).results()),
  );
  // The same two questions, asked with streams of the seed's own.
  expect(results.map((one) => one!.measurements[0]!.suites.map((suite: { suite: string }) => suite.suite))).toEqual([
    ['mine'],
    ['mine'],
  ]);
  expect(await readFile(at('own', 'report.html'), 'utf8')).toContain('on the same questions');
  const without = await experiment('own', '--model', BASE_POLICY);
  expect([without.code, without.err]).toEqual([2, expect.stringContaining('data differ')]);
});

it.each([
  ['fewer arms', { arms: ['e1'] }, /arms that were not asked for/],
  ['other settings', { settings: { ...toy.settings, cycles: 2 } }, /holds another experiment \(settings differ\)/],
  ['another world', { worlds: [13] }, /holds another experiment \(worlds or models differ\)/],
  ['another base', { models: [null] }, /holds another experiment \(worlds or models differ\)/],
])('another experiment in the same folder is refused: %s', async (_, change, message) => {
  await writeFile(at('toy.json'), JSON.stringify({ ...toy, ...change }));
  const { code, err } = await experiment('grid');
  expect(code).toBe(2);
  expect(err).toMatch(message);
});

it.each([
  ['an unknown arm', { arms: ['e2'] }, /arms\.0/],
  ['an arm twice', { arms: ['e1', 'e1'] }, /e1 is named twice/],
  ['a budget without e1', { arms: ['grpo-tokens'] }, /grpo-tokens needs e1/],
  ['a seed of its own', { settings: { seed: 4 } }, /seed is 4, but the experiment sets it/],
  ['an unknown setting', { settings: { cycle: 1 } }, /unknown setting cycle, did you mean cycles/],
  ['too few worlds', { seeds: 2 }, /worlds: 1 given for 2 seeds/],
  ['too few models', { seeds: 2, worlds: [12, 13] }, /models: 1 given for 2 seeds/],
  ['a model that is none', { models: ['no-such-model'] }, /no-such-model/],
  ['an unknown field', { arm: 'e1' }, /arm/],
])('a file is refused with %s', async (_, change, message) => {
  await writeFile(at('toy.json'), JSON.stringify({ ...toy, ...change }));
  const { code, err } = await experiment('refused');
  expect(code).toBe(2);
  expect(err).toMatch(message);
  expect(await readdir(folder)).not.toContain('refused');
});

it('is refused with a model for all beside one for each seed', async () => {
  await writeFile(at('toy.json'), JSON.stringify(toy));
  const { code, err } = await experiment('refused', '--model', BASE_POLICY);
  expect([code, err]).toEqual([2, expect.stringContaining('names a model for each seed already')]);
});

it('is refused by a name that is none, and in a folder with something else', async () => {
  const unknown = await capture('experiment', 'claim', '--out', at('refused'));
  expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining('claims, claims-all')]);
  await writeFile(at('toy.json'), JSON.stringify(toy));
  const used = await capture('experiment', at('toy.json'), '--out', folder);
  expect([used.code, used.err]).toEqual([2, expect.stringContaining('is not empty')]);
});

it('runs arms of one’s own on bases of a folder, compares what is claimed, and ends with its registered size', async () => {
  const claim = { kind: 'lower', arm: 'limit', reference: 'short-pool', measure: 'searches', margin: 0.1 };
  const shortPool = { name: 'short-pool', of: 'e1', says: 'A pool of its own.', settings: { pool: { rollouts: 3 } } };
  const file = {
    ...toy,
    worlds: [12, 13],
    models: [path.basename(BASE_POLICY), path.basename(BASE_POLICY)],
    arms: [
      { name: 'limit', of: 'grpo-tokens', says: 'A limit of one search.', settings: { rollout: { searches: 1 } } },
      'e1',
      shortPool,
    ],
    claims: [{ ...claim, mode: { decoding: 'greedy', searches: 1 } }],
    registered: { seeds: 2, looks: [{ seeds: 2, p: 0.04 }] },
  };
  await writeFile(at('toy.json'), JSON.stringify(file));
  const bases = ['--bases', path.dirname(BASE_POLICY)];
  const { code, out, err } = await experiment('own-arms', ...bases, '--seeds', '1', '--json');
  expect(code, err).toBe(0);
  const { verdicts } = JSON.parse(out);
  expect(verdicts).toEqual([
    {
      claim: 'limit is lower than short-pool (searches, greedy, at most 1 searches)',
      verdict: 'no look',
      sentence: expect.stringContaining('No look is registered at 1 seed, only at 2.'),
    },
  ]);
  // Nothing of the arm with another limit is shared, and its rounds end with the tokens of e1.
  const limit = await new RunFiles(at('own-arms', 'seed-001', 'limit')).config();
  expect([limit.settings.rollout.searches, limit.settings.grpo.tokens > 0, limit.inputs.model]).toEqual([
    1,
    true,
    BASE_POLICY,
  ]);
  const findings = JSON.parse(await readFile(at('own-arms', 'findings.json'), 'utf8'));
  expect(findings.own.map(({ name, forksAt }: { name: string; forksAt: string }) => [name, forksAt])).toEqual([
    ['limit', 'start'],
    ['short-pool', 'pool'],
  ]);
  expect(await readFile(at('own-arms', 'report.html'), 'utf8')).toContain('A limit of one search.');

  const longer = await experiment('own-arms', ...bases, '--seeds', '3');
  expect([longer.code, longer.err]).toEqual([
    2,
    expect.stringContaining('the experiment ends with 2 seeds, 3 were asked for'),
  ]);
  const wrong = { ...file, arms: ['e1', { ...shortPool, settings: { evaluation: { questions: 3 } } }] };
  await writeFile(at('toy.json'), JSON.stringify({ ...wrong, claims: undefined }));
  const refused = await experiment('own-arms', ...bases);
  expect([refused.code, refused.err]).toEqual([
    2,
    expect.stringContaining('short-pool: settings: evaluation cannot be changed'),
  ]);
});
