/** Micro-batches on several threads: the same bits as on one, the same errors, and nothing left behind. */
import { afterAll, describe, expect, it } from 'vitest';
import { Random, streamKey } from '../../../base/random.ts';
import { sharedGuard } from '../../../onnx/native-guard.ts';
import { sharedCopy } from '../../../onnx/shared-floats.ts';
import { type AdamWStep, type CrossEntropyBatch, NonFiniteError } from '../../../policy/policy.ts';
import type { ModelConfig } from '../model/parameters.ts';
import { WorkerThreads } from '../worker-threads.ts';
import { adamwStep, freshMoments, ownShard } from './adamw.ts';
import { lossBatches } from './loss-batches.testing.ts';
import { randomWeights } from './reference.testing.ts';
import { spareTrainers } from './spare-trainers.testing.ts';
import { Trainer } from './training.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 40,
  hidden: 16,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  headSize: 8,
  intermediate: 24,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 128,
};
const initial = randomWeights(config, streamKey('places')).map((value) => value * 0.5);

const random = new Random(streamKey('places', 'batches'));
/** Sequences of all losses. Micro-batches of up to 128 tokens: two for the short ones, about ten for the long ones. */
const batchesOf = (lengths: readonly number[]) =>
  lossBatches(random, { vocabulary: config.vocabulary, lengths, teacherPrompt: 17, denominator: 100 });
const short = batchesOf([9, 4]);
const long = batchesOf(Array.from({ length: 20 }, () => 2 + random.below(90)));
const supervised = long[1] as CrossEntropyBatch;
const sequences = supervised.sequences.map((sequence) => sequence.ids);

const settings: AdamWStep = {
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.01,
  clipNorm: 1,
  minGradientNorm: 0,
};

const setup = { config, pieces: [], maxActive: 1, decodeBits: 32 as const, guard: sharedGuard() };
const workerThreads = new WorkerThreads(setup);
// Before the trainers are closed, which the last hook of a file to be declared does first.
afterAll(() => workerThreads.close());
const options = { threads: 1, workerThreads, plan: { tokens: 128 } };
const take = spareTrainers(options);

const open = async (threads: number, adapter = false) => moved(await take(config, initial, { threads }), adapter);

async function moved(trainer: Trainer, adapter = false): Promise<Trainer> {
  trainer.freeze();
  if (adapter) trainer.attachAdapter({ rank: 2, alpha: 3, key: streamKey('adapter') });
  // Away from the teacher; of an adapter, B away from zero.
  await trainer.accumulate(long[1]!);
  await trainer.step(settings);
  return trainer;
}

describe('a model in training on several threads', () => {
  it.each([
    ['all weights', false, [...short, ...long]],
    // By way of the loss of a token, and by that of a teacher: how the adapter's gradient comes about is the same for all.
    ['an adapter', true, long.filter(({ loss }) => loss === 'policy-gradient' || loss === 'forward-kl')],
  ])('gives the same bits with 1, 2 and 3 threads, training %s', async (_, adapter, batches) => {
    const outcomes = [];
    for (const threads of [1, 2, 3]) {
      const trainer = await open(threads, adapter);
      const outcome = [];
      for (const batch of batches) outcome.push(await trainer.accumulate(batch), trainer.gradient().slice());
      outcome.push(await trainer.step(settings), trainer.effectiveWeights().slice());
      outcome.push(await trainer.logprobs(sequences, 'present'), await trainer.logprobs(sequences, 'frozen'));
      outcomes.push(outcome);
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[2]).toEqual(outcomes[0]);
  });

  it('names the same sequence whoever meets it, and drops the whole gradient', async () => {
    // Several, in several micro-batches.
    const faulty = supervised.sequences.map(({ ids, weights }, n) => ({
      ids,
      weights: n % 4 === 1 ? weights.map(() => Number.NaN) : weights,
    }));
    const messages = new Set<string>();
    for (const threads of [1, 2, 3, 3, 3]) {
      const trainer = await open(threads);
      await trainer.accumulate(short[0]!);
      const before = trainer.effectiveWeights().slice();
      const error = await trainer.accumulate({ ...supervised, sequences: faulty }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(NonFiniteError);
      messages.add((error as Error).message);
      expect(trainer.gradient().every((value) => value === 0)).toBe(true);
      expect(trainer.effectiveWeights().slice()).toEqual(before);
    }
    expect([...messages]).toEqual([expect.stringMatching(/^cross-entropy: losses of sequence \d+ is NaN/)]);
  });

  it('stops between micro-batches when aborted, drops the gradient, and goes on', async () => {
    const [aborted, other] = [await open(3), await open(1)];
    for (const work of ['accumulate', 'logprobs'] as const) {
      const controller = new AbortController();
      const { signal } = controller;
      const stop = () => controller.abort(new Error('enough'));
      const watch = { signal, onProgress: stop };
      // On a busy machine other threads may take every micro-batch, and this one none to report.
      setTimeout(stop, 1);
      const call =
        work === 'accumulate' ? aborted.accumulate(long[0]!, watch) : aborted.logprobs(sequences, 'present', watch);
      await expect(call).rejects.toThrow('enough');
      await expect(aborted.accumulate(long[0]!, controller)).rejects.toThrow('enough');
    }
    expect(aborted.gradient().every((value) => value === 0)).toBe(true);
    expect(await aborted.accumulate(long[2]!)).toEqual(await other.accumulate(long[2]!));
    expect(aborted.gradient()).toEqual(other.gradient());
  });

  it('does a step in slices, to the same bits', async () => {
    const size = 3 * 2 ** 16 + 5;
    const [start, gradient] = [0, 1].map(() => sharedCopy(Float32Array.from({ length: size }, () => random.normal())));
    const outcomes = [];
    for (const others of [0, 2]) {
      const [weights, moments] = [sharedCopy(start!), freshMoments(size)];
      const result = await adamwStep(weights, gradient!, moments, settings, [
        ...workerThreads.shards(others),
        ownShard,
      ]);
      outcomes.push({ weights, moments, result });
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[0]!.weights).not.toEqual(start);
  });

  it('reports a thread that dies instead of waiting for it', async () => {
    const dying = new WorkerThreads(setup);
    const others = { ...options, threads: 3, workerThreads: dying };
    const trainer = await moved(new Trainer(config, sharedCopy(initial), others));
    const call = trainer.accumulate(long[0]!);
    setImmediate(() => void dying.close());
    await expect(call).rejects.toThrow('the engine is closed');
    expect(trainer.gradient().every((value) => value === 0)).toBe(true);
    await trainer.close();
  });
});
