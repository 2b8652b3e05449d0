/** Who wrote what: token ids with a mask, and their stretches by one author. */
import type { TokenIds } from '../policy/policy.ts';

export type Author = 'policy' | 'environment';

/** Ids with a mask over them: 1 where the policy wrote the token, 0 where the environment did. */
export interface AuthoredIds {
  readonly ids: TokenIds;
  readonly mask: readonly (0 | 1)[];
}

/** A stretch [start, end) of tokens by one author. */
export interface Stretch {
  readonly author: Author;
  readonly start: number;
  readonly end: number;
}

/** Consecutive tokens by the same author, in order. */
export function stretches(mask: readonly (0 | 1)[]): Stretch[] {
  const out: Stretch[] = [];
  for (let start = 0, end = 0; start < mask.length; start = end) {
    while (end < mask.length && mask[end] === mask[start]) end += 1;
    out.push({ author: mask[start] === 1 ? 'policy' : 'environment', start, end });
  }
  return out;
}

/** The policy's turns in order, as stretches of the response: between two of them the environment has written. */
export function turnsOf(mask: readonly (0 | 1)[]): Stretch[] {
  return stretches(mask).filter(({ author }) => author === 'policy');
}

/** A stretch as text: a view, for reading and parsing. */
export interface Segment {
  readonly author: Author;
  readonly text: string;
}
