import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../../base/errors.ts';
import { Random } from '../../base/random.ts';
import { writeModel } from '../../checkpoint/model-directory.ts';
import type { Tensor } from '../../checkpoint/safetensors.ts';
import { type ExpectedOfModel, referenceModels } from '../../checkpoint/shared.testing.ts';
import {
  type AdamWStep,
  DRY_STEP,
  type PolicyGradientSequence,
  type Sample,
  type SampleRequest,
} from '../../policy/policy.ts';
import { type OnnxPolicy, openPolicy, openPolicyDirectory } from './engine.ts';
import { layoutOf, type ModelConfig } from './model/parameters.ts';
import { randomWeights } from './training/reference.testing.ts';
import { named } from './training/snapshot.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 30,
  hidden: 16,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 8,
  intermediate: 24,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 64,
};
const llama3 = {
  type: 'llama3',
  factor: 4,
  lowFrequencyFactor: 1,
  highFrequencyFactor: 2,
  originalContextLength: 16,
} as const;
const pieces = Array.from({ length: config.vocabulary }, (_, id) => String.fromCharCode(97 + id));

function namedWeights(flat: Float32Array, model = config): Map<string, Tensor> {
  return named(layoutOf(model), flat);
}

const request = (change: Partial<SampleRequest> = {}): SampleRequest => ({
  prompt: [1, 2, 3],
  maxTokens: 12,
  temperature: 1,
  stop: [],
  stopTokens: [],
  key: [7, 7],
  ...change,
});

const adamw: AdamWStep = {
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.01,
  clipNorm: 1,
  minGradientNorm: 0,
};

/** A policy-gradient sequence that praises what was sampled. */
function praised(prompt: readonly number[], sample: Sample): PolicyGradientSequence {
  const ids = [...prompt, ...sample.ids];
  const written = (t: number) => t >= prompt.length;
  return {
    ids,
    mask: Uint8Array.from(ids, (_, t) => (written(t) ? 1 : 0)),
    advantages: Float32Array.from(ids, (_, t) => (written(t) ? 1 : 0)),
    oldLogprobs: Float32Array.from(ids, (_, t) => (written(t) ? sample.logprobs[t - prompt.length]! : 0)),
  };
}

describe('the embedded engine', () => {
  const policies: OnnxPolicy[] = [];
  const open = async (key: [number, number] = [1, 1]) => {
    const policy = await openPolicy({ config, weights: namedWeights(randomWeights(config, key)), pieces, threads: 1 });
    policies.push(policy);
    return policy;
  };
  let policy: OnnxPolicy;
  let folder: string;
  beforeAll(async () => {
    policy = await open();
    folder = await mkdtemp(path.join(os.tmpdir(), 'engine-'));
  });
  afterEach(async () => {
    for (const one of policies.splice(0)) if (one !== policy) await one.close();
  });
  afterAll(async () => {
    await policy.close();
    await rm(folder, { recursive: true });
  });

  /** GRPO-like step n on samples of its own. */
  async function train(policy: OnnxPolicy, n: number): Promise<void> {
    const requests = [0, 1, 2].map((i) => request({ key: [n, i] }));
    const samples = await Promise.all(requests.map((one) => policy.sample(one)));
    const sequences = samples.map((sample, i) => praised(requests[i]!.prompt, sample));
    for (const [i, { advantages }] of sequences.entries()) advantages.fill(i - 1);
    const batch = {
      loss: 'policy-gradient' as const,
      sequences,
      clipLow: 0.2,
      clipHigh: 0.2,
      klCoefficient: 0,
      denominator: 36,
    };
    await policy.train([batch], adamw);
  }

  it('says what it is', () => {
    expect(policy.info).toEqual({
      engine: 'onnx',
      parameters: layoutOf(config).total,
      vocabulary: 30,
      contextLength: 64,
      threads: 1,
    });
    expect(policy.capabilities).toMatchObject({ deterministic: true, sampler: 'exact', topLogprobs: 30 });
  });

  it('samples with the log-probabilities that training computes: the first ratio is 1', async () => {
    const requests = Array.from({ length: 8 }, (_, i) =>
      request({ prompt: [i, 4, 5], maxTokens: 5 + 5 * i, key: [i, 2] }),
    );
    const samples = await Promise.all(requests.map((one) => policy.sample(one)));
    const sequences = samples.map((sample, i) => praised(requests[i]!.prompt, sample));
    const streams = await policy.logprobs(
      sequences.map(({ ids }) => ids),
      'present',
    );
    for (const [i, { logprobs }] of samples.entries())
      for (const [n, logprob] of logprobs.entries()) expect(streams[i]![3 + n]).toBeCloseTo(logprob, 5);
    const other = await open();
    const { losses } = await other.train(
      [{ loss: 'policy-gradient', sequences, clipLow: 0.2, clipHigh: 0.2, klCoefficient: 0, denominator: 1 }],
      DRY_STEP,
    );
    const { metrics, tokens } = losses[0]!;
    expect(tokens).toBe(samples.reduce((sum, { ids }) => sum + ids.length, 0));
    expect(metrics.maxRatioDeviation).toBeLessThan(1e-5);
  });

  it.each([
    ['Qwen3', { family: 'qwen3' }],
    ['Llama 3', { family: 'llama', tiedHead: false, ropeScaling: llama3 }],
  ] as const)(
    'trains %s from its directory: the first ratio is 1, and what was saved samples the same',
    async (_, change) => {
      const model = { ...config, ...change };
      const [place, saved] = [path.join(folder, model.family), path.join(folder, `${model.family} saved`)];
      await writeModel(place, { config: model, weights: namedWeights(randomWeights(model, [1, 1]), model) });
      const openPlace = async (from: string) => {
        policies.push(await openPolicyDirectory(from, { pieces, threads: 1 }));
        return policies.at(-1)!;
      };
      const trained = await openPlace(place);
      const asked = request({ maxTokens: 40 });
      const before = await trained.sample(asked);
      const sequences = [praised(asked.prompt, before)];
      const { losses } = await trained.train(
        [{ loss: 'policy-gradient', sequences, clipLow: 0.2, clipHigh: 0.2, klCoefficient: 0, denominator: 1 }],
        adamw,
      );
      expect(losses[0]!.metrics.maxRatioDeviation).toBeLessThan(1e-5);
      const after = await trained.sample(asked);
      expect(after).not.toEqual(before);
      await trained.save(saved);
      expect(await (await openPlace(saved)).sample(asked)).toEqual(after);
    },
  );

  it.each([8, 4] as const)('samples with %i-bit weights, and trains in float32', async (decodeBits) => {
    const weights = namedWeights(randomWeights(config, [1, 1]));
    const own = await openPolicy({ config, weights, pieces, threads: 1, decodeBits });
    policies.push(own);
    expect(own.capabilities.sampler).toBe('approximate');
    const { ids, logprobs } = await own.sample(request());
    const sequence = [1, 2, 3, ...ids];
    const [exact] = await policy.logprobs([sequence], 'present');
    const [stream] = await own.logprobs([sequence], 'present');
    expect(stream).toEqual(exact);
    const gaps = logprobs.map((logprob, n) => Math.abs(logprob - stream![3 + n]!));
    expect(Math.max(...gaps)).toBeGreaterThan(1e-4);
    expect(Math.max(...gaps)).toBeLessThan(decodeBits === 8 ? 0.2 : 1);
  });

  it('samples from the new weights after a step, an adapter and its merge', async () => {
    const own = await open();
    const probability = async () => {
      const { ids, logprobs } = await own.sample(request());
      const stream = (await own.logprobs([[1, 2, 3, ...ids]], 'present'))[0]!;
      for (const [n, logprob] of logprobs.entries()) expect(stream[3 + n]).toBeCloseTo(logprob, 5);
      return logprobs;
    };
    const first = await probability();
    await train(own, 1);
    const stepped = await probability();
    expect(stepped).not.toEqual(first);
    await own.attachAdapter({ rank: 2, alpha: 4, key: [3, 3] });
    expect(await probability()).toEqual(stepped);
    await train(own, 2);
    const adapted = await probability();
    expect(adapted).not.toEqual(stepped);
    await own.mergeAdapter();
    expect(await probability()).toEqual(adapted);
  });

  it.each([false, true])('saves and restores: 2 + 2 steps are 4 steps, to the bit (adapter: %s)', async (adapter) => {
    const [straight, interrupted] = [await open(), await open()];
    for (const one of [straight, interrupted]) if (adapter) await one.attachAdapter({ rank: 2, alpha: 4, key: [3, 3] });
    for (const n of [1, 2]) await train(interrupted, n);
    const place = path.join(folder, `adapter-${adapter}`);
    await interrupted.save(place);
    const resumed = await open([9, 9]);
    await resumed.restore(place, { optimizer: 'kept' });
    for (const n of [1, 2, 3, 4]) await train(straight, n);
    for (const n of [3, 4]) await train(resumed, n);
    expect(await resumed.sample(request({ maxTokens: 50 }))).toEqual(await straight.sample(request({ maxTokens: 50 })));
    for (const [name, one] of [
      ['a', straight],
      ['b', resumed],
    ] as const)
      await one.save(path.join(folder, name));
    for (const file of ['model.safetensors', 'optimizer.safetensors', ...(adapter ? ['adapter.safetensors'] : [])])
      expect(readFileSync(path.join(folder, 'a', file)).equals(readFileSync(path.join(folder, 'b', file)))).toBe(true);
    await expect(resumed.restore(path.join(folder, 'none'), { optimizer: 'kept' })).rejects.toThrow(UserError);
  });

  it('keeps to the order of calls that nobody waited for', async () => {
    const [own, waited] = [await open(), await open()];
    const before = own.sample(request({ maxTokens: 40 }));
    const batch = {
      loss: 'cross-entropy' as const,
      sequences: [{ ids: [1, 2, 3, 4], weights: new Float32Array(4).fill(1) }],
      denominator: 1,
    };
    const result = own.train([batch], adamw);
    const after = own.sample(request({ maxTokens: 40 }));
    expect(await before).toEqual(await waited.sample(request({ maxTokens: 40 })));
    await waited.train([batch], adamw);
    expect(await after).toEqual(await waited.sample(request({ maxTokens: 40 })));
    await result;
  });

  it('counts what it does', async () => {
    const own = await open();
    await own.sample(request({ maxTokens: 5 }));
    await own.logprobs([[1, 2, 3]], 'present');
    const sequences = [{ ids: [1, 2], weights: new Float32Array(2) }];
    await own.train([{ loss: 'cross-entropy', sequences, denominator: 1 }], DRY_STEP);
    const statistics = await own.statistics();
    expect(statistics).toMatchObject({ sampledTokens: 5, prefilledTokens: 2, scoredTokens: 3, trainedTokens: 2 });
    for (const seconds of [statistics.sampleSeconds, statistics.trainSeconds, statistics.scoreSeconds])
      expect(seconds).toBeGreaterThan(0);
  });

  it('aborts a sample and releases sessions', async () => {
    const controller = new AbortController();
    const sample = policy.sample(request({ maxTokens: 60, session: 's' }), controller);
    controller.abort(new Error('too slow'));
    await expect(sample).rejects.toThrow('too slow');
    policy.release('s');
    expect((await policy.sample(request())).ids).toHaveLength(12);
  });

  it('rejects what is pending when closed, and what comes after', async () => {
    const own = await open();
    const pending = expect(own.sample(request({ maxTokens: 60 }))).rejects.toThrow('the engine is closed');
    await own.close();
    await pending;
    await expect(own.freeze()).rejects.toThrow('the engine is closed');
  });

  it('gives the same samples with more threads, and closes them in the middle of their work', async () => {
    const own = await openPolicy({ config, weights: namedWeights(randomWeights(config, [1, 1])), pieces, threads: 3 });
    const requests = Array.from({ length: 12 }, (_, i) => request({ key: [8, i] }));
    const all = (one: OnnxPolicy) => Promise.all(requests.map((each) => one.sample(each)));
    expect(await all(own)).toEqual(await all(policy));
    expect(await own.statistics()).toMatchObject({ sampledTokens: 12 * 12 });
    const pending = Promise.allSettled(requests.map((each) => own.sample({ ...each, maxTokens: 60 })));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await own.close();
    for (const result of await pending)
      if (result.status === 'rejected') expect(String(result.reason)).toContain('the engine is closed');
  });

  it('passes errors of training on', async () => {
    await expect(policy.logprobs([[1, 99]], 'present')).rejects.toThrow(/id 99/);
    await expect(policy.mergeAdapter()).rejects.toThrow(/no adapter/);
    await expect(policy.sample(request({ prompt: [] }))).rejects.toThrow(RangeError);
  });

  it('stops training between micro-batches: the gradient is dropped, weights stay', async () => {
    const own = await openPolicy({ config, weights: namedWeights(randomWeights(config, [1, 1])), pieces, threads: 2 });
    policies.push(own);
    const ids = Array.from({ length: 60 }, (_, t) => t % config.vocabulary);
    const batch = (sequences: number) => ({
      loss: 'cross-entropy' as const,
      sequences: Array.from({ length: sequences }, () => ({ ids, weights: new Float32Array(60).fill(1) })),
      denominator: 60,
    });
    const controller = new AbortController();
    const { signal } = controller;
    const progress: number[][] = [];
    await own.train([batch(1)], DRY_STEP, { signal, onProgress: (...now) => progress.push(now) });
    expect(progress).toEqual([[1, 1]]);
    const [training, scoring] = [
      own.train([batch(2000)], adamw, { signal }),
      own.logprobs(
        Array.from({ length: 2000 }, () => ids),
        'present',
        { signal },
      ),
    ];
    setTimeout(() => controller.abort(new Error('enough')), 20);
    for (const result of await Promise.allSettled([training, scoring]))
      expect(result).toMatchObject({ status: 'rejected', reason: { message: 'enough' } });
    expect(await own.train([], adamw)).toMatchObject({ losses: [], update: { gradientNorm: 0 } });
    expect(await own.train([batch(1)], DRY_STEP)).toMatchObject({
      losses: [{ tokens: 59 }],
      update: { skipped: true },
    });
  });

  it('refuses weights that do not fit the configuration', async () => {
    const weights = namedWeights(randomWeights(config, [1, 1]));
    weights.delete('model.norm.weight');
    await expect(openPolicy({ config, weights, pieces })).rejects.toThrow(
      /model\.norm\.weight of shape \[16\] is missing/,
    );
    weights.set('model.norm.weight', { shape: [15], data: new Float32Array(15) });
    await expect(openPolicy({ config, weights, pieces })).rejects.toThrow(/of shape \[16\] is given as \[15\]/);
  });

  it('lets a process end in the middle of its work, with the code that was asked for', async () => {
    const engine = new URL('./engine.ts', import.meta.url).href;
    const script = `
      import { openPolicyDirectory } from ${JSON.stringify(engine)};
      const policy = await openPolicyDirectory(process.argv[1], { pieces: [], threads: 2 });
      for (let i = 0; i < 1000; i++)
        policy.sample({ prompt: [1], maxTokens: 60, temperature: 1, stop: [], stopTokens: [], key: [1, i] });
      setTimeout(() => process.exit(3), 60);`;
    const place = path.join(folder, 'ending');
    await policy.save(place);
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, place], { stdio: 'inherit' });
    expect(await once(child, 'exit')).toEqual([3, null]);
  });
});

describe.each(referenceModels)('the engine on the reference model %s', (_, checkpoint) => {
  it('continues greedily as transformers does, alone and in company', async () => {
    const expected = JSON.parse(readFileSync(path.join(checkpoint, 'expected.json'), 'utf8')) as ExpectedOfModel;
    const policy = await openPolicyDirectory(checkpoint, { pieces: [] });
    const continuation = expected.greedy_from_first5.slice(5);
    const greedy = request({
      prompt: expected.greedy_from_first5.slice(0, 5),
      maxTokens: continuation.length,
      temperature: 0,
    });
    const random = new Random([1, 5]);
    const others = Array.from({ length: 20 }, (_, i) =>
      request({ prompt: Array.from({ length: 1 + i }, () => random.below(policy.info.vocabulary)), key: [i, i] }),
    );
    const [alone] = [await policy.sample(greedy)];
    const [together] = await Promise.all([greedy, ...others].map((one) => policy.sample(one)));
    expect(alone.ids).toEqual(continuation);
    expect(together).toEqual(alone);
    await policy.close();
  });
});
