/**
 * Group-relative policy optimisation (Shao et al. 2024, arXiv 2402.03300), as the paper uses it: exact match as the only
 * reward (others: reward.ts), one group-normalised advantage shared by all tokens that the policy wrote (other forms:
 * advantages.ts), mean over all tokens of the batch. The objective itself is the engine's (policy/policy.ts, `PolicyGradientBatch`).
 *
 * Trajectories in, per-token streams out. Departure from Search-R1: groups are keyed by question, failures of the
 * environment are left out, and the denominator counts the tokens of zero-variance groups too.
 */

import type { Question } from '../base/question.ts';
import { mean, standardDeviation } from '../benchmarks/statistics.ts';
import type { PolicyGradientBatch, PolicyGradientSequence, TokenIds } from '../policy/policy.ts';
import type { GoldOf } from '../rollout/gold.ts';
import { policyTokenCount, type Trajectory, valid } from '../rollout/trajectory.ts';

/**
 * What centred rewards are divided by: their deviation, or nothing (Dr. GRPO, arXiv 2503.20783; GiGPO). The deviation erases the
 * size of small rewards: with r = 1 − c·searches, of a group that is all right, A does not depend on c.
 */
export type Scale = 'deviation' | 'none';

/** A_i = (r_i − mean r) / (std_{n−1} r + 1e-6), or r_i − mean r; exactly zero for equal rewards, and for fewer than two. */
export function groupAdvantages(rewards: readonly number[], scale: Scale = 'deviation'): number[] {
  if (rewards.length < 2 || isFlat(rewards)) return rewards.map(() => 0);
  const [center, deviation] = [mean(rewards), standardDeviation(rewards)];
  return rewards.map((r) => (scale === 'none' ? r - center : (r - center) / (deviation + 1e-6)));
}

/** Sums of the same parts in another order differ in the last bits: so close to one another, relative to their size, they are equal. */
const DUST = 1e-9;

/** All equal. Their mean may differ from them in the last bit, and their deviation from 0. */
function isFlat(rewards: readonly number[]): boolean {
  const [low, high] = [Math.min(...rewards), Math.max(...rewards)];
  return high - low <= DUST * Math.max(Math.abs(low), Math.abs(high));
}

/** One number for the whole response, or one for each of its tokens: over `ids`, read where the policy wrote. */
export type Advantage = number | Float32Array;

/** What the policy gradient sees of one trajectory. */
export interface Weighted {
  readonly trajectory: Trajectory;
  readonly advantage: Advantage;
}

/** What a form of advantage has to go by. */
export interface RolledOutStep {
  readonly questions: readonly Question[];
  /** The rollouts of each question, failures of the environment among them. */
  readonly groups: readonly (readonly Trajectory[])[];
  /** log π of given ids under the present weights, a stream a sequence (policy/policy.ts): credit by scoring asks here, once. */
  readonly score: (sequences: readonly TokenIds[]) => Promise<Float32Array[]>;
  /** log π of each response's tokens under the prompt that it was sampled under, over its ids, under the present weights. */
  readonly own: (trajectories: readonly Trajectory[]) => Promise<readonly ArrayLike<number>[]>;
  readonly prompts: PrivilegedPrompts;
  /** Longest sequence that can be scored, in tokens. */
  readonly contextLength: number;
  readonly gold: GoldOf;
}

/** What a form of credit may put before the policy, as ids. */
export interface PrivilegedPrompts {
  /** The prompt of a question (null: of none) that shows something. */
  readonly showing: (question: Question | null, shown: TokenIds) => TokenIds;
  /** What is shown of a trajectory. */
  readonly viewOf: (trajectory: Trajectory) => TokenIds;
  /** A turn that gives the first gold answer: its opening tag, its words, its closing tag. */
  readonly answerTurn: (question: Question) => {
    readonly opening: TokenIds;
    readonly words: TokenIds;
    readonly closing: TokenIds;
  };
}

/** The trajectories of each question's group with their advantages; failures are left out of group and batch. */
export function weighGroups(groups: readonly (readonly Trajectory[])[], scale: Scale = 'deviation'): Weighted[] {
  return groups.flatMap((group) => {
    const siblings = valid(group);
    const advantages = groupAdvantages(
      siblings.map((t) => t.reward),
      scale,
    );
    return siblings.map((trajectory, i) => ({ trajectory, advantage: advantages[i]! }));
  });
}

/** Whether the rewards of a group differ: only then has it a policy gradient. */
export function isMixed(group: readonly Trajectory[]): boolean {
  return !isFlat(valid(group).map((t) => t.reward));
}

/** Share of groups whose rewards are all equal: they carry no policy gradient. */
export function zeroVarianceShare(groups: readonly (readonly Trajectory[])[]): number {
  return groups.length === 0 ? 0 : groups.filter((group) => !isMixed(group)).length / groups.length;
}

/**
 * What has a gradient where β = 0: trajectories with an advantage other than 0 at a token. Where there is none, the shortest
 * one stands for all, so that a step of no gradient is a step like any other.
 */
export function withGradient(weighted: readonly Weighted[]): readonly Weighted[] {
  const teaching = weighted.filter(({ advantage }) =>
    typeof advantage === 'number' ? advantage !== 0 : advantage.some((one) => one !== 0),
  );
  if (teaching.length > 0) return teaching;
  return weighted.toSorted((a, b) => a.trajectory.ids.length - b.trajectory.ids.length).slice(0, 1);
}

/** A trajectory as it is trained: under the ordinary prompt, whatever it was sampled under. */
export function trainedIds({ prompt, plainPrompt, ids }: Trajectory): TokenIds {
  return [...(plainPrompt ?? prompt), ...ids];
}

/** A trajectory as it was sampled. */
export function sampledIds({ prompt, ids }: Trajectory): TokenIds {
  return [...prompt, ...ids];
}

/**
 * Streams of the clipped policy gradient. `reference[i]` is log π_ref over `trainedIds` of `weighted[i]`, or undefined when
 * β = 0. Old log-probabilities are the sampler's, or those of `recomputed` (streams over `sampledIds`) where the sampler
 * computes with other weights than the trainer; either way ρ = 1 at the first update, but for what was sampled under a hint,
 * where ρ = π(y | plain prompt) / π_old(y | hint).
 * @param all what the mean is taken over: `weighted`, and what was left out of it for having no gradient
 */
export function policyGradientBatch(
  weighted: readonly Weighted[],
  reference: readonly Float32Array[] | undefined,
  settings: { readonly clipLow: number; readonly clipHigh: number; readonly klCoefficient: number },
  recomputed?: readonly Float32Array[],
  all: readonly Weighted[] = weighted,
): PolicyGradientBatch {
  const sequences = weighted.map(({ trajectory, advantage }, i) => {
    const sequence = streams(trajectory, advantage, reference?.[i]);
    if (recomputed === undefined) return sequence;
    if (trajectory.plainPrompt === undefined) return { ...sequence, oldLogprobs: recomputed[i]! };
    sequence.oldLogprobs.set(recomputed[i]!.subarray(trajectory.prompt.length), trajectory.plainPrompt.length);
    return sequence;
  });
  const tokens = all.reduce((sum, w) => sum + policyTokenCount(w.trajectory), 0);
  return {
    loss: 'policy-gradient',
    sequences,
    clipLow: settings.clipLow,
    clipHigh: settings.clipHigh,
    klCoefficient: settings.klCoefficient,
    denominator: Math.max(1, tokens),
  };
}

function streams(
  trajectory: Trajectory,
  advantage: Advantage,
  reference: Float32Array | undefined,
): PolicyGradientSequence {
  const { ids, mask, logprobs } = trajectory;
  const prompt = trajectory.plainPrompt ?? trajectory.prompt;
  const length = prompt.length + ids.length;
  const sequence = {
    ids: trainedIds(trajectory),
    mask: new Uint8Array(length),
    advantages: new Float32Array(length),
    oldLogprobs: new Float32Array(length),
  };
  sequence.mask.set(mask, prompt.length);
  if (typeof advantage === 'number') sequence.advantages.fill(advantage, prompt.length);
  else {
    if (advantage.length !== ids.length)
      throw new RangeError(`${advantage.length} advantages for the ${ids.length} tokens of a response`);
    sequence.advantages.set(advantage, prompt.length);
  }
  sequence.oldLogprobs.set(logprobs, prompt.length);
  return reference === undefined ? sequence : { ...sequence, referenceLogprobs: reference };
}

/**
 * How far the sampler's log-probabilities are from the trainer's on the tokens that the policy wrote: mean and largest
 * |Δ log p|, 0 without such tokens. `recomputed` holds one stream a trajectory, over prompt and response.
 */
export function samplerGap(
  weighted: readonly Weighted[],
  recomputed: readonly Float32Array[],
): { readonly mean: number; readonly max: number } {
  let [sum, max, tokens] = [0, 0, 0];
  for (const [i, { trajectory }] of weighted.entries()) {
    const { prompt, mask, logprobs } = trajectory;
    for (const [t, own] of mask.entries()) {
      if (!own) continue;
      const gap = Math.abs(logprobs[t]! - recomputed[i]![prompt.length + t]!);
      sum += gap;
      max = Math.max(max, gap);
      tokens += 1;
    }
  }
  return { mean: tokens === 0 ? 0 : sum / tokens, max };
}
