/** The text view of a trajectory, for readers and viewers. */
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { type AuthoredIds, type Segment, stretches } from '../protocol/authors.ts';

/** The response as text, one segment per stretch by the same author, in order. The ids remain the truth. */
export function segments(response: AuthoredIds, tokenizer: Pick<Tokenizer, 'decode'>): Segment[] {
  return stretches(response.mask).map(({ author, start, end }) => ({
    author,
    text: tokenizer.decode(response.ids.slice(start, end)),
  }));
}
