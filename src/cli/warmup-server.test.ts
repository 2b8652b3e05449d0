/** `warmup --engine`: on a training server, stopped and continued, and what it leaves is where a run begins. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { KEY, type OpenMock, openMock } from '../engines/tinker/testing/open-mock.ts';
import { RIGHT, worldBigram } from '../engines/tinker/testing/world-bigram.ts';
import { capture, captureStoppedOnce } from './testing/capture.ts';

let folder: string;
let mock: OpenMock;
let data: string[];
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'warmup-server-'));
  mock = await openMock('hatchery', {}, await worldBigram());
  const write = async (name: string, rows: readonly object[]) => {
    const file = path.join(folder, name);
    await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return file;
  };
  const questions = Array.from({ length: 48 }, (_, i) => ({
    ...{ id: `q${i}`, question: 'what is the capital ?', answers: [RIGHT], gold_ids: ['p'] },
  }));
  await write(
    'test.jsonl',
    questions.map((question) => ({ ...question, id: `t${question.id}` })),
  );
  const corpus = await write('corpus.jsonl', [{ id: 'p', title: 'book', text: `capital ${RIGHT} spouse` }]);
  data = ['--corpus', corpus, '--questions', await write('train.jsonl', questions), '--template', 'world'];
});
afterAll(async () => {
  await mock.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => vi.stubEnv('TINKER_API_KEY', KEY));

const sets = (...settings: string[]) => settings.flatMap((setting) => ['--set', setting]);
const model = () =>
  sets(
    'engine.profile=hatchery',
    `engine.baseModel=${mock.server.baseModel}`,
    'engine.loraRank=8',
    'engine.context=512',
  );
const small = sets(
  `phases=${JSON.stringify([{ kind: 'agent', steps: 6, unknown: 0, imitation: 0, reader: 0.2 }])}`,
  ...['batchTokens=200', 'contextTokens=400', 'checkpointEvery=2', 'optimizer.learningRate=0.3'],
  ...['heldOut.questions=2', 'heldOut.every=2', 'measured.questions=2', 'measured.samples=2'],
);
const warmUp = (out: string, ...more: string[]) => [
  ...['warmup', '--engine', mock.server.url, ...model(), ...small, ...data, '--tokenizer', BASE_POLICY],
  ...['--out', path.join(folder, out), ...more],
];
const json = async (...parts: string[]) => JSON.parse(await readFile(path.join(folder, ...parts), 'utf8'));

describe('a warm-up on a training server', () => {
  it('learns, and comes to the same losses when it was stopped and continued', async () => {
    const { code, err } = await capture(...warmUp('whole'));
    expect([code, err.includes(KEY)], err).toEqual([0, false]);
    const whole = await json('whole', 'manifest.json');
    expect(whole.heldOut.map(({ step }: { step: number }) => step)).toEqual([2, 4, 6]);
    expect(whole.heldOut.at(-1).loss).toBeLessThan(whole.heldOut[0].loss);
    expect(whole.measured).toMatchObject({ questions: 2, failures: 0 });

    const steps = () => mock.server.carriedOut.filter((call) => call === 'optim_step').length;
    const before = steps();
    const stopped = await captureStoppedOnce(() => steps() >= before + 3, ...warmUp('halved'));
    expect([stopped.code, stopped.err]).toEqual([130, expect.stringContaining('--resume')]);
    const resumed = await capture(...warmUp('halved', '--resume'));
    expect(resumed.code, resumed.err).toBe(0);
    const halved = await json('halved', 'manifest.json');
    expect([halved.heldOut, halved.tokens]).toEqual([whole.heldOut, whole.tokens]);
    expect(mock.server.models).toHaveLength(0);
  });

  it('leaves where the weights are and the tokenizer, and no key', async () => {
    const names = await readdir(path.join(folder, 'whole'));
    expect(names.sort()).toEqual(['engine.json', 'manifest.json', 'tokenizer.json', 'tokenizer_config.json']);
    for (const name of names) expect(await readFile(path.join(folder, 'whole', name), 'utf8')).not.toContain(KEY);
    expect(await json('whole', 'engine.json')).toMatchObject({ url: mock.server.url, loraRank: 8, initial: false });
  });

  it('is where a run begins that names its folder', async () => {
    const run = path.join(folder, 'run');
    const test = [`test=${path.join(folder, 'test.jsonl')}`];
    const settings = sets('engine.kind=tinker', `engine.url=${mock.server.url}`, 'cycles=0', 'evaluation.questions=16');
    const evolve = ['evolve', '--preset', 'smoke', ...settings, ...model(), ...data, '--evaluate', ...test, '--out'];
    const begun = await capture(...evolve, run, '--model', path.join(folder, 'whole'));
    expect(begun.code, begun.err).toBe(0);
    // The server's own model, by the same draws, says other things.
    const plain = await capture(...evolve, path.join(folder, 'plain'), '--tokenizer', BASE_POLICY);
    expect(plain.code, plain.err).toBe(0);
    const answers = (name: string) => readFile(path.join(folder, name, 'trajectories', 'base-sampled-2.jsonl.gz'));
    expect((await answers('run')).equals(await answers('plain'))).toBe(false);
    const refused = await capture(...evolve, path.join(folder, 'other'), '--model', BASE_POLICY);
    expect([refused.code, refused.err]).toEqual([2, expect.stringMatching(/--model: the server at .* has its own/)]);
  });

  it.each([
    ['a model beside it', ['--model', BASE_POLICY], /--model: the server at .* has its own/],
    ['an adapter of its own', sets('adapter={"rank":4,"alpha":8}'), /adapter: .*engine\.loraRank/s],
    [
      'examples longer than it reads',
      sets('contextTokens=600'),
      /contextTokens: .* reads at most 512 tokens, found 600/,
    ],
  ])('refuses %s', async (_, more, message) => {
    const { code, err } = await capture(...warmUp('refused', ...more));
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
  });

  it('says on a dry run what it would do, and asks nothing of the server', async () => {
    const before = mock.server.carriedOut.length;
    const { code, out } = await capture(...warmUp('dry', '--dry-run'));
    expect([code, JSON.parse(out)]).toEqual([0, expect.objectContaining({ adapter: null })]);
    expect(mock.server.carriedOut).toHaveLength(before);
  });
});
