/** Whether a finished response is right, what it is worth in training, and whether its answer was read or guessed. */
import type { Question } from '../base/question.ts';
import { exactMatch, normalizeAnswer } from '../benchmarks/exact-match.ts';
import type { Segment } from '../protocol/authors.ts';
import type { Trajectory } from './trajectory.ts';

/** 1 when the answer equals a gold answer by exact match, else 0. */
export function correctness(answer: string | null, gold: readonly string[]): 0 | 1 {
  return answer === null ? 0 : exactMatch(answer, gold);
}

/** All that a reward may look at. */
export interface FinishedRollout {
  readonly question: Question;
  readonly trajectory: Omit<Trajectory, 'reward'>;
  /** The response as text, by author in order: a view of the trajectory's ids. */
  readonly text: readonly Segment[];
}

/**
 * What a rollout is worth to a training round, a finite number: a pure function, so that a run that is continued gives the same.
 * What it needs beside the rollout (the world, say) is its own affair.
 */
export type Reward = (rollout: FinishedRollout) => number;

/**
 * Whether the answer occurs in what the searches showed, both normalised as for exact match, as whole words.
 * Null where the question does not arise: no answer, yes or no, or nothing left of the answer after normalising.
 */
export function grounded(answer: string | null, shown: readonly string[]): boolean | null {
  const looked = normalizeAnswer(answer ?? '');
  if (looked === '' || looked === 'yes' || looked === 'no') return null;
  return shown.some((text) => ` ${normalizeAnswer(text)} `.includes(` ${looked} `));
}
