/** Sequences that begin alike, computed together, against each of them alone: log-probabilities, losses, every gradient. */
import { afterAll, describe, expect, it } from 'vitest';
import { Random, streamKey } from '../../../base/random.ts';
import { sharedCopy } from '../../../onnx/shared-floats.ts';
import type { CrossEntropyBatch, DivergenceBatch, LossBatch, PolicyGradientBatch } from '../../../policy/policy.ts';
import { layoutOf, type ModelConfig, viewOf } from '../model/parameters.ts';
import { cutMicroBatches, workOf } from './micro-batches.ts';
import { largestDifference, randomWeights, referenceLogprobs, relativeError } from './reference.testing.ts';
import { Trainer } from './training.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 23,
  hidden: 12,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 4,
  intermediate: 20,
  ropeTheta: 100,
  rmsEpsilon: 1e-5,
  tiedHead: true,
  contextLength: 64,
};
const random = new Random(streamKey('prefixes'));
const ids = (length: number) => Array.from({ length }, () => random.below(config.vocabulary));
const floats = (length: number) => Float32Array.from({ length }, () => random.normal());

const [prompt, turn] = [ids(14), ids(9)];
/** Continuations of the prompt. */
const rollouts = [
  [...turn, ...ids(12)],
  // Two that begin with the same turn, one that ends in the middle of it, and the same one again.
  [...turn, ...ids(3)],
  turn.slice(0, 6),
  turn.slice(0, 6),
  ids(5),
  ids(17),
  ids(1),
];
const otherEnd = [...prompt.slice(0, -1), (prompt.at(-1)! + 1) % config.vocabulary];
const sequences = [
  ...rollouts.map((rollout) => [...prompt, ...rollout]),
  // A prompt that differs in its last token; another question, alone.
  [...otherEnd, ...rollouts[1]!],
  [...otherEnd, ...ids(7)],
  ids(21),
];
/** Read are the rollouts, from the token that the end of the prompt predicts, with gaps. */
const mask = (length: number) => Uint8Array.from({ length }, (_, t) => (t >= prompt.length && t % 5 !== 2 ? 1 : 0));

const policyGradient: PolicyGradientBatch = {
  loss: 'policy-gradient',
  sequences: sequences.map((sequence) => ({
    ids: sequence,
    mask: mask(sequence.length),
    advantages: floats(sequence.length),
    oldLogprobs: floats(sequence.length).map((value) => value / 4 - 3),
    referenceLogprobs: floats(sequence.length).map((value) => value / 4 - 3),
  })),
  clipLow: 0.2,
  clipHigh: 0.2,
  klCoefficient: 0.1,
  denominator: 20,
};
const crossEntropy: CrossEntropyBatch = {
  loss: 'cross-entropy',
  // Every token is read: of the prompts too, once for each sequence.
  sequences: sequences.map((sequence) => ({ ids: sequence, weights: floats(sequence.length) })),
  denominator: 20,
};
const forwardKl: DivergenceBatch = {
  loss: 'forward-kl',
  pairs: rollouts.map((rollout) => ({
    // The experts differ in length, so that teachers lie otherwise than students.
    teacherPrompt: [...prompt, ...ids(1 + random.below(9))],
    studentPrompt: prompt,
    ids: rollout,
    mask: new Uint8Array(rollout.length).fill(1),
  })),
  clip: 0.05,
  teacherTemperature: 0.7,
  denominator: 20,
};
/** The batch in parts of one sequence each. */
function alone(batch: LossBatch): LossBatch[] {
  if ('pairs' in batch) return batch.pairs.map((pair) => ({ ...batch, pairs: [pair] }));
  if (batch.loss === 'policy-gradient') return batch.sequences.map((one) => ({ ...batch, sequences: [one] }));
  if (batch.loss === 'soft-cross-entropy') return batch.sequences.map((one) => ({ ...batch, sequences: [one] }));
  return batch.sequences.map((one) => ({ ...batch, sequences: [one] }));
}

const weights = randomWeights(config, streamKey('weights'));
const trainers: Trainer[] = [];
function open(mode: 'whole' | 'layered'): Trainer {
  const present = sharedCopy(weights);
  const trainer = new Trainer(config, present, { threads: 2, plan: { mode, tokens: 1000 } });
  trainers.push(trainer);
  trainer.freeze();
  for (const [i, value] of present.entries()) present[i] = value + 0.03 * Math.sin(i);
  return trainer;
}
afterAll(async () => {
  for (const trainer of trainers) await trainer.close();
});

it('shares much in this batch', () => {
  const work = sequences.map((sequence, index) => workOf(index, sequence, mask(sequence.length)));
  const batches = cutMicroBatches(work, { tokens: 1000, rows: 1000 });
  const read = work.reduce((sum, one) => sum + one.ids.length, 0);
  expect(batches.length).toBe(1);
  expect(batches[0]!.levels.ids.length).toBeLessThan(0.6 * read);
  // Tokens that several rollouts wrote alike are read by each of them.
  expect(batches[0]!.slots.length).toBeLessThan(batches[0]!.rows);
});

describe.each(['whole', 'layered'] as const)('what sequences share is computed once (%s)', (mode) => {
  const [together, apart] = [open(mode), open(mode)];

  it('log-probabilities are those of the float64 implementation', async () => {
    const streams = await together.logprobs(sequences, 'frozen');
    const weights64 = Float64Array.from(weights);
    for (const [n, sequence] of sequences.entries())
      expect(largestDifference(streams[n]!, referenceLogprobs(config, weights64, sequence))).toBeLessThan(2e-5);
  });

  it.each([policyGradient, crossEntropy, forwardKl])('$loss: loss, streams and gradients', async (batch) => {
    together.gradient().fill(0);
    apart.gradient().fill(0);
    const result = await together.accumulate(batch);
    let [loss, tokens] = [0, 0];
    for (const [n, one] of alone(batch).entries()) {
      const part = await apart.accumulate(one);
      loss += part.loss;
      tokens += part.tokens;
      if (part.perToken) expect(largestDifference(result.perToken![n]!, part.perToken[0]!)).toBeLessThan(1e-5);
    }
    expect(result.loss).toBeCloseTo(loss, 5);
    expect(result.tokens).toBe(tokens);
    const layout = layoutOf(config);
    for (const { name } of layout.entries) {
      const error = relativeError(viewOf(layout, together.gradient(), name), viewOf(layout, apart.gradient(), name));
      expect(error, name).toBeLessThan(1e-5);
    }
  });
});
