/**
 * What is known of a question beyond its answers: supervision from outside, which Search-E1 does without. The embedded world
 * knows all of it (world/gold.ts); of real questions there are the gold passages, for some.
 */
import type { Question } from '../base/question.ts';

/** What one search of a perfect agent has to bring. */
export interface GoldStep {
  /** Id of the passage that holds the evidence. */
  readonly passage: string;
  /** The query that finds it; null where it is not known. */
  readonly key: string | null;
}

export interface Gold {
  /** At least one. */
  readonly steps: readonly GoldStep[];
  /** Each step needs what the one before has brought: they can only be made in this order. */
  readonly ordered: boolean;
  /** Whether words of the agent state something about the question's steps that is false; absent where that cannot be told. */
  readonly misstates?: (words: string) => boolean;
}

/** Undefined for a question of which nothing is known. */
export type GoldOf = (question: Question) => Gold | undefined;

/** The gold passages that a question's file names, in no order. */
export const goldOfFile: GoldOf = ({ goldIds }) =>
  goldIds === undefined || goldIds.length === 0
    ? undefined
    : { steps: [...new Set(goldIds)].map((passage) => ({ passage, key: null })), ordered: false };
