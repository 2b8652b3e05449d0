/**
 * The whole method through hatchery-core: the command trains the embedded world's policy there, is killed (-9), resumed, loses its
 * server (-9) and is resumed again; a warm-up there. And, one step at a time: a server killed in the middle of a step leaves no doubled gradient.
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_POLICY } from '../src/checkpoint/base-policy.ts';
import { loadTokenizer } from '../src/checkpoint/tokenizer.ts';
import type { TinkerPolicy } from '../src/engines/tinker/engine.ts';
import { TinkerFailure } from '../src/engines/tinker/failures.ts';
import { openTinkerPolicy } from '../src/engines/tinker/open-policy.ts';
import { usualPatience } from '../src/engines/tinker/patience.ts';
import type { AdamWStep, LossBatch } from '../src/policy/policy.ts';
import { KEY, type Peer, pythonOf, startHatchery } from './peer.ts';

const python = pythonOf('hatchery');
const command = path.join(import.meta.dirname, '..', 'bin', 'search-e1.js');

describe.skipIf(python === undefined)('the embedded world’s policy on hatchery', () => {
  let folder: string;
  let model: string;
  let peer: Peer;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'hatchery-run-'));
    model = path.join(folder, 'base');
    await cp(BASE_POLICY, model, { recursive: true });
    // The server pads batches, and makes up an id beyond the vocabulary where the tokenizer names none.
    await writeFile(
      path.join(model, 'tokenizer_config.json'),
      '{"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}',
    );
    peer = await startHatchery(python!, { model, state: path.join(folder, 'state') });
  });
  afterAll(async () => {
    await peer?.close();
    await rm(folder, { recursive: true, force: true });
  });
  const restart = async () => {
    peer = await startHatchery(python!, { model, state: path.join(folder, 'state'), port: peer.port });
  };

  const step: AdamWStep = {
    learningRate: 1e-3,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0,
    clipNorm: 1,
    minGradientNorm: 0,
  };
  const ids = [2, 40, 41, 42, 43, 44];
  const batch: LossBatch = {
    loss: 'cross-entropy',
    sequences: [{ ids, weights: new Float32Array(6).fill(1) }],
    denominator: 6,
  };
  const open = async (): Promise<TinkerPolicy> =>
    openTinkerPolicy({
      url: peer.url,
      key: KEY,
      profile: 'hatchery',
      baseModel: model,
      loraRank: 8,
      seed: 1,
      contextLength: 512,
      pieces: (await loadTokenizer(BASE_POLICY)).pieces,
      concurrency: 8,
      patience: { ...usualPatience, unavailable: 3 },
    });

  it('a server that is killed in the middle of a step leaves a clear state, and no doubled gradient', async () => {
    const policy = await open();
    await policy.train([batch], step);
    const saved = path.join(folder, 'saved');
    await policy.save(saved);
    // The server keeps adapters in bfloat16: what is compared begins at what was loaded.
    await policy.restore(saved, { optimizer: 'kept' });
    const atSaved = await policy.logprobs([ids], 'present');
    const straight = await policy.train([batch], step).then(() => policy.logprobs([ids], 'present'));
    await policy.restore(saved, { optimizer: 'kept' });
    // The server has the gradient, and dies before it can answer.
    const training = policy.train([batch], step).catch((error: unknown) => error);
    await Promise.all([training, wait(1).then(() => peer.kill())]);
    const error = await training;
    expect(error).toBeInstanceOf(TinkerFailure);
    expect(['state-unknown', 'unavailable']).toContain((error as TinkerFailure).kind);
    await expect(policy.logprobs([ids], 'present')).rejects.toThrow('the last training step failed');
    await restart();
    await policy.restore(saved, { optimizer: 'kept' });
    const gap = (a: Float32Array[], b: Float32Array[]) =>
      Math.max(...[...a[0]!].map((x, t) => Math.abs(x - b[0]![t]!)));
    const restored = await policy.logprobs([ids], 'present');
    await policy.train([batch], step);
    const repeated = await policy.logprobs([ids], 'present');
    console.log(
      `restored ${gap(restored, atSaved)}, repeated step ${gap(repeated, straight)}, a step moves ${gap(straight, atSaved)}`,
    );
    expect(gap(restored, atSaved)).toBeLessThan(2e-6);
    expect(gap(repeated, straight)).toBeLessThan(2e-6);
    expect(gap(straight, atSaved)).toBeGreaterThan(1e-4);
    await policy.close();
  });

  it('evolve goes from question to table, killed, without its server, and resumed', async () => {
    const run = path.join(folder, 'run');
    const settings = [
      ...['engine.kind=tinker', `engine.url=${peer.url}`, 'engine.profile=hatchery', `engine.baseModel=${model}`],
      ...[
        'engine.loraRank=8',
        'engine.context=512',
        'engine.unavailableSeconds=3',
        'grpo.steps=2',
        'grpo.questionsPerStep=3',
      ],
      ...['grpo.groupSize=3', 'pool.questions=5', 'pool.rollouts=4', 'gate.questions=2', 'distill.pairsPerStep=2'],
      ...['distill.maxSteps=2', 'guards.heldOutQuestions=2', 'guards.every=2', 'evaluation.questions=1'],
      ...['evaluation.searches=2', 'evaluation.decoding=sampled', 'rollout.searches=2'],
    ].flatMap((setting) => ['--set', setting]);
    const begin = ['evolve', '--preset', 'smoke', ...settings, '--tokenizer', BASE_POLICY, '--out', run];
    const resume = ['evolve', '--resume', run];

    // Killed as soon as its first step is on record.
    const first = start(begin);
    await until(async () => (await metricsOf(run)).some(({ stage, step: n }) => stage === 'grpo-1' && n === 1), first);
    first.child.kill('SIGKILL');
    await first.ended;

    // Its server is killed in the second step, or in what follows it.
    const second = start(resume);
    await wait(6000);
    await peer.kill();
    const { code, text } = await second.ended;
    console.log(text.trim().split('\n').slice(-2).join('\n'));
    expect(code).not.toBe(0);
    expect(text).toMatch(/--resume/);
    expect(text).not.toContain(KEY);
    await restart();

    const third = await start(resume).ended;
    console.log(third.text.trim().split('\n').slice(-14).join('\n'));
    expect(third.code).toBe(0);
    const metrics = await metricsOf(run);
    expect(metrics.filter(({ stage }) => stage === 'grpo-1').map(({ step: n }) => n)).toEqual([1, 2]);
    const taught = metrics.filter(({ stage }) => stage === 'e1-1');
    if (taught.length > 0) expect(taught[0]).toMatchObject({ lesson: 'tail 20' });
    expect(await readFile(path.join(run, 'config.json'), 'utf8')).not.toContain(KEY);
  });

  it('warmup teaches its model, killed and resumed, and a run begins at what it left', async () => {
    const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    const question = { question: 'what is the capital ?', answers: ['author'], gold_ids: ['p'] };
    const of = (suite: string) => Array.from({ length: 48 }, (_, i) => ({ id: `${suite}${i}`, ...question }));
    const [train, test, corpus] = ['train', 'test', 'corpus'].map((name) => path.join(folder, `${name}.jsonl`)) as [
      ...[string, string, string],
    ];
    await writeFile(train, lines(of('q')));
    await writeFile(test, lines(of('t')));
    await writeFile(corpus, lines([{ id: 'p', title: 'book', text: 'capital author spouse' }]));
    const sets = (...settings: string[]) => settings.flatMap((setting) => ['--set', setting]);
    const engine = sets(
      'engine.profile=hatchery',
      `engine.baseModel=${model}`,
      'engine.loraRank=8',
      'engine.context=512',
    );
    const data = ['--questions', train, '--corpus', corpus, '--template', 'world'];
    const out = path.join(folder, 'warm');
    const begin = [
      ...['warmup', '--engine', peer.url, ...engine, ...data, '--tokenizer', BASE_POLICY, '--out', out],
      ...sets('phases=[{"kind":"agent","steps":6,"unknown":0,"imitation":0}]', 'batchTokens=200', 'contextTokens=400'),
      ...sets('checkpointEvery=1', 'optimizer.learningRate=0.01', 'heldOut.questions=4', 'heldOut.every=3'),
      ...sets('measured.questions=2', 'measured.samples=1'),
    ];
    const first = start(begin);
    const stateFile = path.join(out, 'progress', 'state.json');
    await until(async () => (await readFile(stateFile, 'utf8').catch(() => '')).match(/"step": ?2\b/) !== null, first);
    first.child.kill('SIGKILL');
    await first.ended;
    const second = await start([...begin, '--resume']).ended;
    console.log(second.text.trim().split('\n').slice(-4).join('\n'));
    expect(second.code, second.text).toBe(0);
    const { heldOut, steps } = JSON.parse(await readFile(path.join(out, 'manifest.json'), 'utf8'));
    expect(steps).toBe(6);
    expect(heldOut.at(-1).loss).toBeLessThan(heldOut[0].loss);
    const evolve = await start([
      ...['evolve', '--preset', 'smoke', '--model', out, ...data, '--evaluate', `test=${test}`, ...engine],
      ...sets('engine.kind=tinker', `engine.url=${peer.url}`, 'cycles=0', 'evaluation.questions=2'),
      ...sets('evaluation.searches=2', 'evaluation.decoding=greedy', 'rollout.searches=2'),
      ...['--out', path.join(folder, 'from-warm')],
    ]).ended;
    expect(evolve.code, evolve.text).toBe(0);
    expect(second.text + evolve.text).not.toContain(KEY);
  });

  function start(args: readonly string[]) {
    const child = spawn(process.execPath, [command, ...args], { env: { ...process.env, TINKER_API_KEY: KEY } });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (text += part.toString()));
    const ended = new Promise<{ code: number | null; text: string }>((resolve) =>
      child.once('close', (code) => resolve({ code, text })),
    );
    return { child, ended, text: () => text };
  }
});

async function metricsOf(run: string): Promise<{ stage: string; step: number; lesson?: string }[]> {
  const text = await readFile(path.join(run, 'metrics.jsonl'), 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => (line.endsWith('}') ? [JSON.parse(line)] : []));
}

async function until(
  condition: () => Promise<boolean>,
  process: { child: { exitCode: number | null }; text: () => string },
) {
  while (!(await condition())) {
    if (process.child.exitCode !== null) throw new Error(`the command ended too early: ${process.text()}`);
    await wait(100);
  }
}
