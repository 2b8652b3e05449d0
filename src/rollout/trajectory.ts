/** The record of one rollout. Token ids are the truth; text is a view of them. */
import type { TokenIds } from '../policy/policy.ts';
import { turnsOf } from '../protocol/authors.ts';

/**
 * Why a rollout ended; a closed set.
 *
 * answered: an answer tag was completed · no-answer: the last allowed turn ended without one · response-full: the limit on
 * policy tokens was reached · context-full: the next turn or observation would not fit the context · the rest are failures,
 * excluded from training by rule (see `isFailure`); of them prompt-too-long: the prompt left no room for a single turn.
 */
export type StopReason =
  | 'answered'
  | 'no-answer'
  | 'response-full'
  | 'context-full'
  | 'prompt-too-long'
  | 'search-failed'
  | 'sample-failed'
  | 'deadline'
  | 'cancelled';

const failures: readonly StopReason[] = ['prompt-too-long', 'search-failed', 'sample-failed', 'deadline', 'cancelled'];

/** Failures say something about machine and limits, not about the policy: they enter no group, no pair and no mean. */
export function isFailure(stop: StopReason): boolean {
  return failures.includes(stop);
}

/** What was measured: everything but failures. Every mean, group, pair and score is taken over these alone. */
export function valid<T extends { readonly stop: StopReason }>(all: readonly T[]): T[] {
  return all.filter(({ stop }) => !isFailure(stop));
}

/** One executed search. */
export interface SearchRecord {
  readonly query: string;
  /** Which of the policy's turns asked for it, from 0 (protocol/authors.ts, `turnsOf`); absent in files of schema 1. */
  readonly turn?: number;
  /** In rank order. */
  readonly passages: readonly { readonly id: string; readonly title: string; readonly score: number }[];
}

/** What a training step made of a trajectory: for whoever looks at the run, nothing is computed from it. */
export interface TrainingView {
  /** A: one number for the response, or one for each token that the policy wrote. */
  readonly advantage: number | readonly number[];
  /** k3 = e^Δ − Δ − 1, Δ = log π_ref − log π, of each token that the policy wrote, in nats, to three digits; absent: not measured. */
  readonly kl?: readonly number[];
}

/** Prompt and response as text, a view of the ids. */
export interface TrajectoryText {
  readonly prompt: string;
  /** An entry for each stretch by one author (protocol/authors.ts, `stretches`). */
  readonly response: readonly string[];
}

export interface Trajectory {
  readonly questionId: string;
  readonly dataset: string;
  /** As it was asked. It, `gold` and `text` are absent in files of before schema 3. */
  readonly question?: string;
  /** Its gold answers. */
  readonly gold?: readonly string[];
  /** Index within the group. */
  readonly rollout: number;
  /** Of rollouts that share beginnings (tree.ts): the tree, and how many of `ids` are those of the rollout that it goes on from. */
  readonly branch?: { readonly tree: number; readonly from: number };
  /** What it was sampled under. */
  readonly prompt: TokenIds;
  /** Of one whose prompt showed more than the question: the ordinary prompt, under which it is trained. */
  readonly plainPrompt?: TokenIds;
  /** Everything after the prompt, policy and environment tokens in order. */
  readonly ids: TokenIds;
  /** Over ids: 1 where the policy wrote the token, 0 where the environment did. */
  readonly mask: readonly (0 | 1)[];
  /** Over ids: the sampler's log-probability on policy tokens, 0 elsewhere; float32, as training reads it. */
  readonly logprobs: readonly number[];
  readonly searches: readonly SearchRecord[];
  readonly stop: StopReason;
  /** What went wrong, for failures. */
  readonly failure?: string;
  /** Text of the last answer tag in the response; null when there is none. */
  readonly answer: string | null;
  /** Exact match of the answer. Right and wrong mean this wherever they are spoken of: pairs, pools, gates, tables. */
  readonly correct: 0 | 1;
  /** What a training round makes of it; equal to `correct` unless the environment gives another reward (reward.ts). */
  readonly reward: number;
  /** Every turn is think? + exactly one action, ended by an answer. */
  readonly wellFormed: boolean;
  /** The answer occurs (normalised) in a passage that was shown; null when there is no answer, or it is yes or no. */
  readonly grounded: boolean | null;
  readonly text?: TrajectoryText;
  /** Only of what a GRPO step was trained on. */
  readonly training?: TrainingView;
}

/** Number of tokens that the policy wrote. */
export function policyTokenCount(trajectory: Pick<Trajectory, 'mask'>): number {
  let count = 0;
  for (const author of trajectory.mask) count += author;
  return count;
}

/** What came into being with it: the policy's tokens and the searches, without those of a rollout that it goes on from. */
export function ownWork({ mask, searches, branch }: Pick<Trajectory, 'mask' | 'searches' | 'branch'>): {
  readonly policyTokens: number;
  readonly searches: number;
} {
  const before = mask.slice(0, branch?.from ?? 0);
  const turns = turnsOf(before).length;
  return {
    policyTokens: policyTokenCount({ mask }) - policyTokenCount({ mask: before }),
    searches: searches.filter(({ turn }) => turn === undefined || turn >= turns).length,
  };
}
