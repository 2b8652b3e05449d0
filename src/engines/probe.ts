/** How fast an engine is on this machine, from a few seconds of random tokens: sampling, scoring, training. */
import { Random, streamKey } from '../base/random.ts';
import { DRY_STEP, type Policy } from '../policy/policy.ts';

export interface Pace {
  /** New tokens, all sequences together. */
  readonly sampledPerSecond: number;
  /** Tokens whose log-probabilities are computed. */
  readonly scoredPerSecond: number;
  /** Tokens that are trained on: forward and backward of all weights. */
  readonly trainedPerSecond: number;
}

/** Work of a training probe, in floating-point operations: a few seconds on two cores, less for a small model. */
const OPERATIONS = 3e11;
/** Longest that all of it may take, in seconds: on what is slower, one sequence says enough. */
const PATIENCE = 20;
const NEW_TOKENS = 16;

interface Limits {
  readonly concurrency: number;
  readonly contextTokens: number;
}

/** The policy stays as it is: it has to be one that can train without a trace, and says how many parameters it has. */
export async function probe(policy: Policy, { concurrency, contextTokens }: Limits): Promise<Pace> {
  const { parameters, contextLength } = policy.info;
  if (parameters === undefined || !policy.capabilities.dryRun)
    throw new Error(`the engine ${policy.info.engine} cannot be probed`);
  // 6 operations a parameter and token, 2 more where products are computed again.
  const budget = Math.floor(OPERATIONS / (8 * parameters));
  const length = Math.max(2, Math.min(contextTokens, contextLength, 256, budget));
  const most = Math.max(1, Math.min(16, Math.floor(budget / length)));
  const one = await measure(policy, 1, length, concurrency);
  return most === 1 || most * one.seconds > PATIENCE
    ? one.pace
    : (await measure(policy, most, length, concurrency)).pace;
}

/** The pace over so many sequences of that length, and the seconds that were measured. */
async function measure(
  policy: Policy,
  count: number,
  length: number,
  concurrency: number,
): Promise<{ readonly pace: Pace; readonly seconds: number }> {
  const { vocabulary, contextLength } = policy.info;
  const random = new Random(streamKey('probe'));
  const ids = (length: number) => Array.from({ length }, () => random.below(vocabulary));
  const sequences = Array.from({ length: count }, () => ids(length));
  const tokens = count * length;

  const train = () =>
    policy.train(
      [
        {
          loss: 'cross-entropy',
          sequences: sequences.map((sequence) => ({ ids: sequence, weights: new Float32Array(length).fill(1) })),
          denominator: tokens,
        },
      ],
      DRY_STEP,
    );
  const sampled = Math.max(1, Math.min(concurrency, 4 * count));
  const prompts = Array.from({ length: sampled }, () => ids(Math.min(16, length)));
  const sample = (round: number) =>
    Promise.all(
      prompts.map((prompt, i) =>
        policy.sample({
          prompt,
          maxTokens: Math.min(NEW_TOKENS, contextLength - prompt.length),
          temperature: 1,
          stop: [],
          stopTokens: [],
          key: streamKey('probe', round, i),
        }),
      ),
    );
  // Each once before: graphs are built, weights packed.
  const seconds = async (work: (round: number) => Promise<unknown>) => {
    await work(0);
    const start = performance.now();
    await work(1);
    return (performance.now() - start) / 1000;
  };
  const sampling = await seconds(sample);
  const scoring = await seconds(() => policy.logprobs(sequences, 'present'));
  const training = await seconds(train);
  return {
    pace: {
      sampledPerSecond: (sampled * NEW_TOKENS) / sampling,
      scoredPerSecond: tokens / scoring,
      trainedPerSecond: tokens / training,
    },
    seconds: sampling + scoring + training,
  };
}
