/** What a finished response is worth, and whether its answer was read or guessed. */
import { exactMatch, normalizeAnswer } from '../benchmarks/exact-match.ts';

/** 1 when the answer equals a gold answer by exact match, else 0; nothing else is rewarded. */
export function reward(answer: string | null, gold: readonly string[]): 0 | 1 {
  return answer === null ? 0 : exactMatch(answer, gold);
}

/**
 * Whether the answer occurs in what the searches showed, both normalised as for exact match, as whole words.
 * Null where the question does not arise: no answer, yes or no, or nothing left of the answer after normalising.
 */
export function grounded(answer: string | null, shown: readonly string[]): boolean | null {
  const looked = normalizeAnswer(answer ?? '');
  if (looked === '' || looked === 'yes' || looked === 'no') return null;
  return shown.some((text) => ` ${normalizeAnswer(text)} `.includes(` ${looked} `));
}
