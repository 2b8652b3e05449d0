/**
 * What a server does, asked of it by a few small requests, before a run rests on it: a wrong profile, a sampler that draws from
 * another distribution, soft targets that are cut in silence.
 */
import { randomUUID } from 'node:crypto';
import { streamKey } from '../../base/random.ts';
import type { AdamWStep, SoftCrossEntropyBatch, TokenIds } from '../../policy/policy.ts';
import { TinkerFailure } from './failures.ts';
import type { Profile } from './profiles.ts';
import type { RemoteWeights } from './remote-weights.ts';
import { answerOf, answers } from './wire.ts';

/** Above: the sampler is an approximation of the policy. */
const APPROXIMATE = 0.02;
/** Above: it draws from something else. */
const WRONG = 0.5;
const TOKENS = 16;

/**
 * Scores the vocabulary's largest id, samples a few tokens at temperature 1 and scores them again.
 * @returns the mean |Δ log p| between sampler and trainer, in nats
 * @throws TinkerFailure (mismatch) where the two speak of different distributions
 */
export async function samplerGapOf(weights: RemoteWeights, vocabulary: number, url: string): Promise<number> {
  const prompt: TokenIds = [vocabulary - 1, 0, vocabulary - 1];
  const sampler = await weights.sampler();
  const request = { prompt, maxTokens: TOKENS, temperature: 1, stop: [], stopTokens: [], key: streamKey('parity') };
  const { ids, logprobs } = await sampler.sample(request);
  const [scores] = await weights.logprobs([[...prompt, ...ids]]);
  const gap =
    logprobs.reduce((sum, x, i) => sum + Math.abs(x - scores![prompt.length + i]!), 0) / Math.max(1, ids.length);
  if (gap > WRONG)
    throw new TinkerFailure(
      'mismatch',
      `${url}: sampled log-probabilities are ${gap.toFixed(2)} nats off those of the trained model, on average`,
      {
        hint: 'Samples are drawn from another distribution: a hidden top-k, another temperature or model, or dropout in training. Is engine.profile right?',
      },
    );
  return gap;
}

export function isApproximate(gap: number): boolean {
  return gap > APPROXIMATE;
}

/** What became of a probe that trains a scratch model. */
export interface TrainingProbe {
  /** Two half batches move the model as one whole batch does: largest difference of log π, in nats. */
  readonly halves: number;
  /** A table of two targets a token moves it as two tables of one do; null where the server takes no tables. */
  readonly tables: number | null;
  /** How far the steps moved log π: what the differences are to be held against. */
  readonly moved: number;
  /** How far a step goes elsewhere that follows on a checkpoint with its moments, and without: 0 where they are loaded all the same. */
  readonly momentsMatter: number;
  /** A model's second save, made after a step and loaded elsewhere, to what the model had: as far as a step where it is a copy of the first. */
  readonly laterSave: number;
}

/** Scratch models. */
export interface Scratch {
  /** A model of saved weights. */
  copyOf(path: string, options: { readonly optimizer: boolean }): Promise<RemoteWeights>;
  release(weights: RemoteWeights): Promise<void>;
}

const ids: readonly TokenIds[] = [
  [0, 1, 2, 3, 1],
  [2, 0, 3, 1, 1, 2],
];
const step: AdamWStep = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1e9,
  minGradientNorm: 0,
};

/** On scratch models, copies of the weights at `path`: new adapters would begin with other random numbers. */
export async function probeTraining(
  profile: Profile,
  path: string,
  { copyOf, release }: Scratch,
): Promise<TrainingProbe> {
  const after = async (batches: (weights: RemoteWeights) => Promise<unknown>, from = path, optimizer = false) => {
    const weights = await copyOf(from, { optimizer });
    try {
      const before = await weights.logprobs(ids);
      await batches(weights);
      const streams = await weights.logprobs(ids);
      return streams.flatMap((stream, i) => [...stream].map((x, t) => x - before[i]![t]!));
    } finally {
      await release(weights);
    }
  };
  const learn = (sequences: readonly TokenIds[]) => ({
    loss: 'cross-entropy' as const,
    sequences: sequences.map((one) => ({ ids: one, weights: new Float32Array(one.length).fill(1) })),
    denominator: 9,
  });
  const whole = await after(({ trainer }) => trainer.train([learn(ids)], step));
  const halves = await after(({ trainer }) =>
    trainer.train(
      ids.map((one) => learn([one])),
      step,
    ),
  );
  const moved = Math.max(...whole.map(Math.abs));
  let withMoments = '';
  await after(async (weights) => {
    await weights.trainer.train([learn(ids)], step);
    withMoments = (await weights.save(`search-e1-probe-${randomUUID()}`)).path;
  });
  const other = ({ trainer }: RemoteWeights) => trainer.train([learn([ids[1]!])], step);
  const momentsMatter = gap(await after(other, withMoments, true), await after(other, withMoments, false));
  const laterSave = await lateSave(path, { copyOf, release }, ({ trainer }) => trainer.train([learn(ids)], step));
  const found = { halves: gap(whole, halves), moved, momentsMatter, laterSave };
  if (profile.softTargets !== 'signed' && profile.softTargets !== 'non-negative') return { ...found, tables: null };
  const both = await after(({ trainer }) => trainer.train([table([2, 3], [0.3, 0.6])], step));
  const each = await after(({ trainer }) => trainer.train([table([2], [0.3]), table([3], [0.6])], step));
  return { ...found, tables: gap(both, each) };
}

/** Saves, steps, saves again as a client would that knows nothing of `savesOnce`, and holds what was saved last against what there was. */
async function lateSave(
  path: string,
  { copyOf, release }: Scratch,
  train: (weights: RemoteWeights) => Promise<unknown>,
): Promise<number> {
  const weights = await copyOf(path, { optimizer: false });
  try {
    await weights.save(`search-e1-probe-${randomUUID()}`);
    await train(weights);
    const had = await weights.logprobs(ids);
    const name = `search-e1-probe-${randomUUID()}`;
    const answer = await weights.model.run('save_weights', 'harmless', { path: name });
    const saved = answerOf(answers.saved, answer, weights.model.session.caller.url, 'save_weights');
    const copy = await copyOf(saved.path, { optimizer: false });
    try {
      const loaded = await copy.logprobs(ids);
      return Math.max(...had.map((stream, i) => gap([...stream], [...loaded[i]!])));
    } finally {
      await release(copy);
    }
  } finally {
    await release(weights);
  }
}

/** The same targets at every position. */
function table(targets: readonly number[], weights: readonly number[]): SoftCrossEntropyBatch {
  const sequences = ids.map((one) => {
    const rows = one.length - 1;
    return {
      ids: one,
      start: 1,
      mask: new Uint8Array(rows).fill(1),
      k: targets.length,
      tokens: Int32Array.from({ length: rows * targets.length }, (_, i) => targets[i % targets.length]!),
      weights: Float32Array.from({ length: rows * targets.length }, (_, i) => weights[i % targets.length]!),
    };
  });
  return { loss: 'soft-cross-entropy', sequences, denominator: 9 };
}

function gap(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));
}
