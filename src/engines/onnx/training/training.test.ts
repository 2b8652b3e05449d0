/** What holds for the trainer whatever it computes: order, cut, errors, checkpoints. Threads: data-parallel.test.ts. */
import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../../../base/random.ts';
import { sharedCopy } from '../../../onnx/shared-floats.ts';
import type { AdamWStep, CrossEntropyBatch } from '../../../policy/policy.ts';
import type { ModelConfig } from '../model/parameters.ts';
import { largestDifference, randomWeights, relativeError } from './reference.testing.ts';
import { spareTrainers } from './spare-trainers.testing.ts';
import { Trainer, type TrainerOptions } from './training.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 50,
  hidden: 64,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 16,
  intermediate: 96,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 64,
};
const initial = randomWeights(config, streamKey('weights')).map((value) => value * 0.5);
const random = new Random(streamKey('batch'));
const batch: CrossEntropyBatch = {
  loss: 'cross-entropy',
  sequences: Array.from({ length: 12 }, () => {
    const length = 1 + random.below(60);
    return {
      ids: Array.from({ length }, () => random.below(config.vocabulary)),
      weights: Float32Array.from({ length }, () => (random.chance(0.5) ? random.normal() : 0)),
    };
  }),
  denominator: 100,
};
const settings: AdamWStep = {
  learningRate: 0.001,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.01,
  clipNorm: 1,
  minGradientNorm: 0,
};

const take = spareTrainers({ threads: 1 });
const open = (options: Partial<TrainerOptions> = {}, weights: Float32Array = initial) => take(config, weights, options);

/** Loss, log-probabilities, gradient and moved weights of two steps. */
async function twoSteps(trainer: Trainer, work = batch) {
  const first = await trainer.accumulate(work);
  const gradient = trainer.gradient().slice();
  await trainer.step(settings);
  const second = await trainer.accumulate(work);
  await trainer.step(settings);
  return { first, second, gradient, weights: trainer.effectiveWeights().slice() };
}

describe('Trainer', () => {
  it('gives the same bits again', async () => {
    const once = await twoSteps(await open());
    expect(await twoSteps(await open())).toEqual(once);
  });

  it('gives the same with other micro-batches, up to rounding, in the order of the caller', async () => {
    const whole = await twoSteps(await open());
    const pieces = await twoSteps(await open({ plan: { tokens: 64 } }));
    expect(pieces.first.loss).toBeCloseTo(whole.first.loss, 6);
    expect(pieces.first.tokens).toBe(whole.first.tokens);
    expect(relativeError(pieces.gradient, whole.gradient)).toBeLessThan(1e-5);
    for (const [n, stream] of whole.first.perToken!.entries())
      expect(largestDifference(pieces.first.perToken![n]!, stream)).toBeLessThan(1e-5);

    const reversed = { ...batch, sequences: batch.sequences.toReversed() };
    const other = await (await open()).accumulate(reversed);
    for (const [n, stream] of other.perToken!.toReversed().entries())
      expect(largestDifference(stream, whole.first.perToken![n]!)).toBeLessThan(1e-5);
  });

  it('adds up over calls with one denominator', async () => {
    const [together, apart] = [await open(), await open()];
    const { loss } = await together.accumulate(batch);
    let sum = 0;
    for (const sequence of batch.sequences) sum += (await apart.accumulate({ ...batch, sequences: [sequence] })).loss;
    expect(sum).toBeCloseTo(loss, 6);
    expect(relativeError(apart.gradient(), together.gradient())).toBeLessThan(1e-5);
  });

  it('takes sequences of every length, and batches without any token', async () => {
    const ids = [3, 1, 4, 1, 5, 9];
    const trainer = await open();
    const [whole] = await trainer.logprobs([ids], 'present');
    for (let length = 0; length <= ids.length; length++) {
      const [part] = await trainer.logprobs([ids.slice(0, length)], 'present');
      expect(largestDifference(part!, whole!.slice(0, length))).toBeLessThan(1e-5);
    }
    const empty = { ...batch, sequences: [{ ids, weights: new Float32Array(ids.length) }] };
    const result = await trainer.accumulate(empty);
    expect(result).toMatchObject({ loss: 0, tokens: 0 });
    expect(trainer.gradient().every((value) => value === 0)).toBe(true);
  });

  it.each([false, true])('restores weights, adapter and optimiser, to the bit (adapter: %s)', async (withAdapter) => {
    const [original, copy] = [await open(), await open({}, new Float32Array(initial.length))];
    if (withAdapter) original.attachAdapter({ rank: 2, alpha: 4, key: streamKey('adapter') });
    await twoSteps(original);
    await copy.restore(original.state());
    expect(copy.effectiveWeights()).toEqual(original.effectiveWeights());
    expect(await twoSteps(copy)).toEqual(await twoSteps(original));
    const { moments: _, ...rest } = original.state();
    await original.restore(rest);
    expect(original.effectiveWeights()).toEqual(copy.effectiveWeights());
    const { first, second, steps } = original.state().moments;
    expect(steps).toBe(0);
    expect([...first, ...second].every((value) => value === 0)).toBe(true);
    expect(copy.state().moments.steps).toBe(4);
  });

  it.each([false, true])('restores into the memory that it has (adapter: %s)', async (withAdapter) => {
    const [original, copy] = [await open(), await open()];
    const adapter = { rank: 2, alpha: 4, key: streamKey('adapter') };
    for (const trainer of withAdapter ? [original, copy] : []) trainer.attachAdapter(adapter);
    await twoSteps(original);
    await twoSteps(copy);
    const { first, second } = copy.state().moments;
    const gradient = copy.gradient();
    const weights = copy.effectiveWeights();
    await copy.restore(original.state());
    expect(copy.state().moments.first).toBe(first);
    expect(copy.state().moments.second).toBe(second);
    expect(copy.gradient()).toBe(gradient);
    expect(copy.effectiveWeights()).toBe(weights);
  });

  it('keeps frozen weights apart from the present ones, and says when weights changed', async () => {
    const trainer = await open();
    const ids = batch.sequences.map((sequence) => sequence.ids);
    const unfrozen = new Trainer(config, sharedCopy(initial), { threads: 1 });
    await expect(unfrozen.logprobs(ids, 'frozen')).rejects.toThrow(/freeze/);
    trainer.freeze();
    const before = await trainer.logprobs(ids, 'present');
    const { version } = trainer;
    await trainer.accumulate(batch);
    expect(trainer.version).toBe(version);
    await trainer.step(settings);
    expect(trainer.version).toBeGreaterThan(version);
    expect(await trainer.logprobs(ids, 'frozen')).toEqual(before);
    expect(await trainer.logprobs(ids, 'present')).not.toEqual(before);
  });
});

describe('Trainer on bad input', () => {
  it('names the sequence of a loss that is not finite, and leaves weights and gradient alone', async () => {
    const trainer = await open();
    const sequences = batch.sequences.map(({ ids, weights }) => ({ ids, weights: weights.slice() }));
    sequences[7]!.weights.fill(Number.NaN, 1);
    await expect(trainer.accumulate({ ...batch, sequences })).rejects.toThrow(/losses of sequence 7 is NaN/);
    expect(trainer.gradient().every((value) => value === 0)).toBe(true);
    expect(trainer.effectiveWeights()).toEqual(initial);
  });

  it('names the tensor of a gradient that is not finite', async () => {
    // The losses of the tokens are finite; divided by so small a number their gradient is not.
    const trainer = await open();
    await expect(trainer.accumulate({ ...batch, denominator: 1e-38 })).rejects.toThrow(
      /gradient of model\.\S+\.weight is not finite/,
    );
  });

  it('refuses ids outside the vocabulary, sequences past the context, streams of the wrong length', async () => {
    const trainer = await open();
    const run = (ids: number[], length = ids.length) =>
      trainer.accumulate({
        ...batch,
        sequences: [
          { ids: [1], weights: new Float32Array(1) },
          { ids, weights: new Float32Array(length) },
        ],
      });
    await expect(run([1, 50])).rejects.toThrow('sequence 1: token 1 is id 50, expected 0 to 49');
    await expect(run([1, 0.5])).rejects.toThrow(/id 0.5/);
    await expect(run(new Array(65).fill(1))).rejects.toThrow(/65 tokens.*64/);
    await expect(run([1, 2], 3)).rejects.toThrow(/sequence 1: weights has 3 entries, expected 2/);
    await expect(trainer.logprobs([[1, -1]], 'present')).rejects.toThrow(/id -1/);
  });

  it('merges and attaches in turn only', async () => {
    const trainer = await open();
    expect(() => trainer.mergeAdapter()).toThrow(/no adapter/);
  });
});
