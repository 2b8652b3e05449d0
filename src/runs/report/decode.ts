/** Text of a part of a sequence as it reads inside the whole: word-level vocabularies put spaces between tokens, not into them. */
import type { Tokenizer } from '../../checkpoint/tokenizer.types.ts';
import type { TokenIds } from '../../policy/policy.ts';

export type Decoder = Pick<Tokenizer, 'decode'>;

/** What `ids` add to the text of the token before them (none at the start of a sequence). */
export function decodeAfter(tokenizer: Decoder, before: number | undefined, ids: TokenIds): string {
  if (before === undefined) return tokenizer.decode(ids);
  const lead = tokenizer.decode([before]);
  const both = tokenizer.decode([before, ...ids]);
  // The token before may be a part of a character, whose text changes with what follows.
  return both.startsWith(lead) ? both.slice(lead.length) : tokenizer.decode(ids);
}
