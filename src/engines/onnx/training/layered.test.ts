/** A model computed layer by layer, its head in chunks, against the same model as one graph. */
import { afterAll, describe, expect, it } from 'vitest';
import { Random, streamKey } from '../../../base/random.ts';
import { type LossBatch, NonFiniteError } from '../../../policy/policy.ts';
import type { ComputationPlan } from '../memory.ts';
import { adapterLayoutOf, layoutOf, type ModelConfig, viewOf } from '../model/parameters.ts';
import { lossBatches } from './loss-batches.testing.ts';
import { largestDifference, randomWeights, relativeError } from './reference.testing.ts';
import { Trainer } from './training.ts';

const tied: ModelConfig = {
  family: 'qwen2',
  vocabulary: 31,
  hidden: 12,
  layers: 3,
  heads: 4,
  keyValueHeads: 2,
  headSize: 4,
  intermediate: 20,
  ropeTheta: 100,
  rmsEpsilon: 1e-5,
  tiedHead: true,
  contextLength: 64,
};
const models: [string, ModelConfig][] = [
  ['Qwen2, tied', tied],
  ['Qwen3, untied', { ...tied, family: 'qwen3', tiedHead: false }],
  ['Llama, one layer', { ...tied, family: 'llama', layers: 1, keyValueHeads: 1 }],
];

const random = new Random(streamKey('layered'));
const { vocabulary } = tied;
const ids = (length: number) => Array.from({ length }, () => random.below(vocabulary));
const lengths = [17, 5, 2, 23, 9];
const batches = lossBatches(random, { vocabulary, lengths, teacherPrompt: 7, denominator: 20 });

/** The losses that differ in how a gradient comes in: at one token of a row, and at all of them by a teacher. */
const two = batches.filter(({ loss }) => loss === 'policy-gradient' || loss === 'forward-kl');

const trainers = new Map<string, Trainer>();
afterAll(async () => {
  for (const trainer of trainers.values()) await trainer.close();
});

/** Odd chunks of three rows: the last one is shorter, and no sequence ends with a chunk. */
const layered: Partial<ComputationPlan> = { mode: 'layered', rows: 3, tokens: 40 };
const whole: Partial<ComputationPlan> = { mode: 'whole' };

/** The trainer of such a model without a gradient, made once: its sessions take longer to open than what they compute. */
async function open(config: ModelConfig, plan: Partial<ComputationPlan>, adapter: boolean, threads = 2) {
  const key = JSON.stringify([config, plan, adapter, threads]);
  const trainer = trainers.get(key) ?? (await made(config, plan, adapter, threads));
  trainers.set(key, trainer);
  trainer.dropGradient();
  return trainer;
}

async function made(config: ModelConfig, plan: Partial<ComputationPlan>, adapter: boolean, threads: number) {
  const weights = randomWeights(config, streamKey('frozen'));
  const trainer = new Trainer(config, weights, { threads, plan });
  trainer.freeze();
  for (const [i, value] of weights.entries()) weights[i] = value + 0.03 * Math.sin(i);
  if (adapter) {
    trainer.attachAdapter({ rank: 2, alpha: 3, key: streamKey('adapter') });
    // B moves away from zero, so that A has a gradient.
    const { values } = trainer.state().adapter!;
    await trainer.restore({
      ...trainer.state(),
      adapter: { rank: 2, alpha: 3, values: values.map((value, i) => value + 0.1 * Math.cos(i)) },
    });
  }
  return trainer;
}

describe.each(models)('layer by layer: %s', (_, config) => {
  it.each([
    ['all weights', false],
    ['an adapter', true],
  ])('gives losses, metrics, streams and gradients of the whole graph, training %s', async (_name, adapter) => {
    const [one, other] = [await open(config, whole, adapter), await open(config, layered, adapter)];
    const layout = adapter ? adapterLayoutOf(config, 2) : layoutOf(config);
    // The head and its losses are the same code for all: each tying meets all of them once.
    const all = !adapter && config.layers > 1;
    for (const batch of all ? batches : two) {
      const [truth, result] = [await one.accumulate(batch), await other.accumulate(batch)];
      expect(result.tokens).toBe(truth.tokens);
      expect(result.loss).toBeCloseTo(truth.loss, 5);
      for (const [name, value] of Object.entries(truth.metrics))
        expect(result.metrics[name as keyof typeof truth.metrics], name).toBeCloseTo(value, 4);
      for (const [n, stream] of (truth.perToken ?? []).entries())
        expect(largestDifference(result.perToken![n]!, stream)).toBeLessThan(1e-5);
      // Gradients add up over the losses.
      for (const { name } of layout.entries) {
        const error = relativeError(viewOf(layout, other.gradient(), name), viewOf(layout, one.gradient(), name));
        expect(error, `${batch.loss}: ${name}`).toBeLessThan(1e-5);
      }
    }
  });

  it('gives the same log-probabilities', async () => {
    const sequences = lengths.map(ids);
    const truth = await (await open(config, whole, false)).logprobs(sequences, 'frozen');
    const streams = await (await open(config, layered, false)).logprobs(sequences, 'frozen');
    for (const [n, stream] of streams.entries()) expect(largestDifference(stream, truth[n]!)).toBeLessThan(1e-5);
  });
});

describe('layer by layer', () => {
  it.each([
    ['all weights', false],
    ['an adapter', true],
  ])(
    'gives the same bits whether products are kept for the way back or computed again, training %s',
    async (_, adapter) => {
      for (const [, config] of models) {
        const computed = [];
        for (const kept of [0, 2 ** 20]) {
          const trainer = await open(config, { ...layered, kept }, adapter);
          const results = [];
          for (const batch of two) results.push(await trainer.accumulate(batch));
          computed.push({ results, gradient: trainer.gradient().slice() });
        }
        expect(computed[1]).toEqual(computed[0]);
      }
    },
  );

  it('gives the same bits again, and with one thread the same as with two', async () => {
    const gradients: Float32Array[] = [];
    for (const threads of [2, 2, 1]) {
      const trainer = await open(tied, layered, false, threads);
      for (const batch of batches) await trainer.accumulate(batch);
      gradients.push(trainer.gradient().slice());
    }
    expect(gradients[1]).toEqual(gradients[0]);
    expect(gradients[2]).toEqual(gradients[0]);
  });

  it('names the tensor of a gradient that is not finite, and drops what was added up', async () => {
    const trainer = await open(tied, layered, false);
    const broken = { ...batches[1]!, denominator: 1e-38 } as LossBatch;
    await expect(trainer.accumulate(broken)).rejects.toThrow(NonFiniteError);
    await expect(trainer.accumulate(broken)).rejects.toThrow(/gradient of \S+ is not finite/);
    expect(trainer.gradient().every((value) => value === 0)).toBe(true);
  });
});
