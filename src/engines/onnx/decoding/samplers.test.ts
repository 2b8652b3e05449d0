import { afterAll, describe, expect, it } from 'vitest';
import { sharedGuard } from '../../../onnx/native-guard.ts';
import type { SampleRequest } from '../../../policy/policy.ts';
import type { ModelConfig } from '../model/parameters.ts';
import { randomWeights } from '../training/reference.testing.ts';
import { WorkerThreads } from '../worker-threads.ts';
import { Decoder } from './decoder.ts';
import { Samplers, samplerPlan } from './samplers.ts';
import { Scheduler } from './scheduler.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 26,
  hidden: 16,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  headSize: 8,
  intermediate: 24,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 60,
};

const request = (change: Partial<SampleRequest> = {}): SampleRequest => ({
  prompt: [1, 2, 3],
  maxTokens: 10,
  temperature: 1,
  stop: [],
  stopTokens: [],
  key: [7, 7],
  ...change,
});

describe('Samplers', () => {
  const opened: { decoder: Decoder; workerThreads: WorkerThreads }[] = [];
  function open(others: number) {
    const source = { version: 0, weights: randomWeights(config, [1, 1]), effectiveWeights: () => source.weights };
    const setup = { config, pieces: [], maxActive: 32, decodeBits: 32 as const, guard: sharedGuard() };
    const decoder = new Decoder(config, { threads: 1 });
    const workerThreads = new WorkerThreads(setup);
    const samplers = new Samplers(new Scheduler(decoder, source, setup), [], { others, source, workerThreads });
    opened.push({ decoder, workerThreads });
    return { samplers, source, workerThreads };
  }
  afterAll(async () => {
    for (const { decoder, workerThreads } of opened) {
      await workerThreads.close();
      await decoder.close();
    }
  });
  const one = open(0);
  const three = open(2);

  it('give the same samples as one, whichever thread they come from, over the turns of a session', async () => {
    const requests = Array.from({ length: 24 }, (_, i) =>
      request({ prompt: [i % 5, ...Array(12).fill(2), 3], key: [1, i], maxTokens: 1 + (i % 9), session: `s${i}` }),
    );
    const turns = async ({ samplers }: typeof one) => {
      const first = await Promise.all(requests.map((each) => samplers.sample(each)));
      const second = await Promise.all(
        requests.map((each, i) => {
          const prompt = [...each.prompt, ...first[i]!.ids, 4];
          return samplers.sample({ ...each, prompt, offset: first[i]!.ids.length });
        }),
      );
      return { first, second, prefilled: (await samplers.totals()).prefilledTokens };
    };
    const [alone, apart] = [await turns(one), await turns(three)];
    expect(apart.first).toEqual(alone.first);
    expect(apart.second).toEqual(alone.second);
    // The second turns found their sessions; equal prompts were computed at most once a thread.
    const secondTurns = requests.length;
    expect(alone.prefilled).toBe(5 * 13 + secondTurns);
    expect(apart.prefilled).toBeLessThanOrEqual(3 * 5 * 13 + secondTurns);
    const { sampledTokens } = await three.samplers.totals();
    expect(sampledTokens).toBe((await one.samplers.totals()).sampledTokens);
    for (let i = 0; i < requests.length; i++) three.samplers.release(`s${i}`);
  });

  it('change weights between samples only, in every thread', async () => {
    const { samplers, source } = open(1);
    const eight = () =>
      Promise.all(Array.from({ length: 8 }, (_, i) => samplers.sample(request({ key: [3, i], maxTokens: 20 }))));
    const old = eight();
    const changed = samplers.exclusive(async () => {
      source.weights = randomWeights(config, [2, 2]);
      source.version += 1;
      return 'done';
    });
    const fresh = eight();
    expect(await changed).toBe('done');
    const other = open(0);
    const expected = (i: number) => other.samplers.sample(request({ key: [3, i], maxTokens: 20 }));
    for (const [i, sample] of (await old).entries()) expect(sample).toEqual(await expected(i));
    other.source.weights = source.weights;
    other.source.version += 1;
    for (const [i, sample] of (await fresh).entries()) expect(sample).toEqual(await expected(i));
    await expect(samplers.exclusive(() => Promise.reject(new Error('no step')))).rejects.toThrow('no step');
    expect(await eight()).toEqual(await fresh);
  });

  it('drop aborted samples, also those held back, and go on', async () => {
    const { samplers } = three;
    const [running, held] = [new AbortController(), new AbortController()];
    const requests = Array.from({ length: 6 }, (_, i) => request({ key: [4, i], maxTokens: 50 }));
    const first = Promise.allSettled(requests.map((each) => samplers.sample(each, running)));
    const changed = samplers.exclusive(async () => {});
    const waiting = samplers.sample(request(), held);
    held.abort(new Error('too late'));
    running.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('too late');
    for (const result of await first) expect(result).toMatchObject({ status: 'rejected' });
    await changed;
    expect(await samplers.sample(request())).toEqual(await one.samplers.sample(request()));
  });

  it('change weights when aborted samples have stopped, not before', async () => {
    const { samplers, workerThreads } = open(1);
    let started = false;
    const ready = workerThreads
      .at(0)
      .ready()
      .then(() => {
        started = true;
      });
    const abort = new AbortController();
    const samples = Promise.allSettled(
      [5, 6].map((first) => samplers.sample(request({ prompt: [first], maxTokens: 50 }), abort)),
    );
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort(new Error('enough'));
    // The workerThread has been given a sample before it could say that it is there.
    expect(await samplers.exclusive(async () => started)).toBe(true);
    for (const result of await samples) expect(result).toMatchObject({ reason: { message: 'enough' } });
    await ready;
  });

  it('pass on what a request does wrong', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 3 }, (_, i) => three.samplers.sample(request({ prompt: [99], key: [5, i] }))),
    );
    for (const result of results) expect(result).toMatchObject({ reason: expect.any(RangeError) });
  });
});

describe('samplerPlan', () => {
  it('gives small models a thread each, large ones all threads at once', () => {
    expect(samplerPlan(800_000, 4)).toEqual({ samplers: 4, each: 1 });
    expect(samplerPlan(494_000_000, 4)).toEqual({ samplers: 1, each: 4 });
    expect(samplerPlan(494_000_000, 1)).toEqual({ samplers: 1, each: 1 });
  });
});
