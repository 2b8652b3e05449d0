/**
 * The whole loop through a training server: it learns, and whatever breaks on the way, what it comes to is what it would have come
 * to. The policy is a table over words (as in runs/bare-engine.test.ts) with a pull towards words that it has read.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Tokenizer } from '../../checkpoint/tokenizer.types.ts';
import { evolve } from '../../evolve/evolve.ts';
import type { EvolveEvent } from '../../evolve/journal.ts';
import { presets } from '../../evolve/presets.ts';
import type { Results } from '../../evolve/results.ts';
import type { Settings } from '../../evolve/settings.ts';
import { worldTemplate } from '../../protocol/templates.ts';
import { findsAll, question } from '../../rollout/testing/environment.ts';
import { RunDirectory } from '../../runs/run-directory.ts';
import { smallConfig } from '../../runs/testing/run-fixture.ts';
import type { ProfileName } from './profiles.ts';
import { CopyingBigram } from './testing/copying-bigram.ts';
import type { Fault } from './testing/faults.ts';
import { KEY, type OpenMock, openMock, quick } from './testing/open-mock.ts';

const words = [
  ...['<q>', '</q>', '<ref>', '</ref>', '<think>', '</think>', '<search>', '</search>', '<information>'],
  ...['</information>', '<answer>', '</answer>', 'gold', 'tin', 'egg', '<unk>'],
];
const id = (word: string) => words.indexOf(words.includes(word) ? word : '<unk>');
const tokenizer: Tokenizer = {
  vocabulary: words.length,
  pieces: words.map((word) => ` ${word}`),
  encode: (text) => text.split(/\s+/).filter(Boolean).map(id),
  decode: (ids) => ids.map((each) => words[each]).join(' '),
  chat: () => undefined,
  start: [],
  endTokens: [],
  notes: [],
  hash: 'words',
};

/** Where a turn goes from a word, each way alike; any other way is all but impossible. */
const ways: Readonly<Record<string, readonly string[]>> = {
  '</q>': ['<search>', '<answer>'],
  '</ref>': ['<search>', '<answer>'],
  '</information>': ['<search>', '<answer>', '<answer>'],
  '<search>': ['egg'],
  egg: ['</search>'],
  '<answer>': ['gold', 'tin'],
  gold: ['</answer>'],
  tin: ['</answer>'],
};
const V = words.length;
const initial = new CopyingBigram(V);
for (let u = 0; u < V; u++)
  for (let v = 0; v < V; v++)
    initial.parameters[u * V + v] = 6 * (ways[words[u]!] ?? []).filter((word) => word === words[v]).length;
// What an expert trajectory has answered is read off it.
initial.parameters[V * V + id('<answer>')] = 0.5;

const { smoke } = presets;
const settings: Settings = {
  ...smoke,
  cycles: 1,
  rollout: { ...smoke.rollout, searches: 2 },
  grpo: {
    ...smoke.grpo,
    steps: [5],
    questionsPerStep: 5,
    groupSize: 4,
    learningRate: 0.2,
    warmupSteps: 0,
    klCoefficient: 0.01,
  },
  pool: { ...smoke.pool, questions: 8, rollouts: 4 },
  gate: { ...smoke.gate, questions: 2 },
  distill: {
    ...smoke.distill,
    adapter: null,
    pairsPerStep: 3,
    maxSteps: 3,
    learningRate: 0.05,
    clip: null,
    teacherTemperature: 1,
    topK: 4,
  },
  evaluation: { ...smoke.evaluation, questions: 16, searches: [2], decoding: ['sampled'] },
  guards: { ...smoke.guards, heldOutQuestions: 4, every: 4, window: 3 },
};
const questions = Array.from({ length: 24 }, (_, i) => question(`q${i}`));
const suites = [{ name: 'test', questions: Array.from({ length: 16 }, (_, i) => question(`t${i}`)) }];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'tinker-run-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
const open: OpenMock[] = [];
afterEach(async () => {
  for (const mock of open.splice(0)) await mock.close();
});

async function mockOf(profile: ProfileName): Promise<OpenMock> {
  const mock = await openMock(profile, {}, { pieces: tokenizer.pieces, initial });
  open.push(mock);
  return mock;
}

/** One sitting on a run directory, with a policy of its own; it is broken off at the training step with this number of its own. */
async function sit(
  mock: OpenMock,
  profile: ProfileName,
  name: string,
  breakAt = Number.POSITIVE_INFINITY,
): Promise<Results> {
  const folder = path.join(root, name);
  const isNew = !(await readdir(root)).includes(name);
  const config = { ...smallConfig(), settings };
  const directory = isNew ? await RunDirectory.create(folder, config) : await RunDirectory.open(folder);
  const policy = await mock.open({
    pieces: tokenizer.pieces,
    contextLength: 256,
    loraRank: profile === 'verl' ? null : 8,
    patience: { ...quick, unavailable: 1 },
  });
  const retriever = { ...findsAll, info: { kind: 'toy', passages: 2, corpusHash: '', settings: {} } };
  const setup = { policy, tokenizer, template: worldTemplate, retriever, trainingQuestions: questions, suites };
  const controller = new AbortController();
  let steps = 0;
  const onEvent = (event: EvolveEvent) => {
    if (event.kind === 'step' && ++steps === breakAt) controller.abort();
  };
  try {
    return (await evolve(setup, settings, directory, { onEvent, signal: controller.signal })).results;
  } finally {
    await directory.close();
    await policy.close();
  }
}

/** What a run directory holds, without times and checkpoints. */
async function contents(name: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(path.join(root, name), { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() || entry.name === 'timing.json' || file.includes('checkpoints')) continue;
    files[path.relative(path.join(root, name), file)] = (await readFile(file)).toString('base64');
  }
  return files;
}

async function metricsOf(name: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(path.join(root, name, 'metrics.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe.each([
  ['hatchery', 'tail 4'],
  ['verl', 'top-k 4'],
  ['skyrl', 'sampled'],
] as const)('a run on a server like %s', (profile, lesson) => {
  let whole: Results;
  /** What the server of the whole run still had when it ended. */
  let left: { readonly saved: readonly string[]; readonly models: number };
  beforeAll(async () => {
    const mock = await openMock(profile, {}, { pieces: tokenizer.pieces, initial });
    whole = await sit(mock, profile, profile);
    left = { saved: [...mock.server.saved.keys()], models: mock.server.models.length };
    await mock.close();
  });

  it('learns, through every stage, and is taught by what the server takes', async () => {
    expect(whole.outcomes.map(({ stage, stoppedBy }) => [stage, stoppedBy])).toEqual([
      ['grpo-1', 'steps'],
      ['e1-1', 'steps'],
    ]);
    const sampled = whole.measurements
      .filter(({ mode }) => mode.decoding === 'sampled')
      .map(({ mean }) => mean.exactMatch!.mean);
    expect(sampled[1]).toBeGreaterThan(sampled[0]! + 0.1);
    // No server tells an entropy; what was sampled says how large it was: of two ways at some words, none at others.
    for (const record of (await metricsOf(profile)).filter(({ stage }) => stage === 'grpo-1')) {
      expect(record).toMatchObject({ entropy: null });
      expect(record.entropyEstimate).toBeGreaterThan(0.01);
      expect(record.entropyEstimate).toBeLessThan(Math.log(3));
    }
    const taught = (await metricsOf(profile)).filter(({ stage }) => stage === 'e1-1');
    expect(taught.length).toBeGreaterThan(0);
    for (const record of taught) expect(record).toMatchObject({ lesson });
    if (lesson === 'sampled') return;
    for (const { truncatedKl, teacherMass } of taught) {
      expect(truncatedKl).toBeGreaterThan(0);
      expect(teacherMass).toBeGreaterThan(0.8);
    }
  });

  it('is broken off in each stage of training and continued to the same bytes', async () => {
    const mock = await mockOf(profile);
    const name = `${profile}-broken`;
    for (const breakAt of [2, 3]) await expect(sit(mock, profile, name, breakAt)).rejects.toThrow('interrupted');
    expect(await sit(mock, profile, name)).toEqual(whole);
    expect(await contents(name)).toEqual(await contents(profile));
  });

  it('comes to the same where answers are lost, late, broken and refused', async () => {
    const mock = await mockOf(profile);
    const once = profile === 'skyrl';
    // Where a result is handed out once, its loss is another test's.
    const polls = profile === 'verl' ? [] : ['retrieve asample', 'retrieve forward'];
    const faults = [
      'asample',
      'forward',
      'save_weights_for_sampler',
      ...polls,
      ...(once ? ['forward_backward', 'optim_step'] : []),
    ].flatMap((call): Fault[] => [
      { call, kind: 'status', status: 429 },
      { call, kind: 'cut' },
      { call, kind: 'half JSON' },
      call.startsWith('retrieve') ? { call, kind: 'status', status: 408 } : { call, kind: 'reset before' },
    ]);
    mock.server.faults.add(...faults);
    const name = `${profile}-faults`;
    expect(await sit(mock, profile, name)).toEqual(whole);
    expect(await contents(name)).toEqual(await contents(profile));
    expect(mock.server.faults.left).toEqual([]);
  });

  it('is continued after the server died in the middle of steps, without a doubled gradient', async () => {
    const mock = await mockOf(profile);
    const name = `${profile}-death`;
    mock.server.faults.add({ call: 'optim_step', kind: 'death before', after: 2 });
    await expect(sit(mock, profile, name)).rejects.toThrow(/outcome is unknown|no answer that helps/);
    await mock.server.start();
    mock.server.faults.add({ call: 'forward_backward', kind: 'death after', after: 2 });
    await expect(sit(mock, profile, name)).rejects.toThrow(/outcome is unknown|no answer that helps/);
    await mock.server.start();
    expect(await sit(mock, profile, name)).toEqual(whole);
    expect(await contents(name)).toEqual(await contents(profile));
  });

  it('keeps on the server what its checkpoints stand for, and nothing else; the key is in no file', async () => {
    const kept: string[] = [];
    for (const entry of await readdir(path.join(root, profile), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const text = await readFile(path.join(entry.parentPath, entry.name), 'utf8');
      expect(text).not.toContain(KEY);
      if (entry.name === 'engine.json') kept.push((JSON.parse(text) as { path: string }).path);
    }
    expect([...left.saved].sort()).toEqual(kept.sort());
    expect(left.models).toBe(profile === 'verl' ? 1 : 0);
  });
});
