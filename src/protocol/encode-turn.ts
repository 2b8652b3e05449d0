/** Ids of a turn that somebody has written for the policy: a demonstration, a gold answer. */
import type { Span } from '../checkpoint/added-tokens.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { anyTag } from './tags.ts';

/** Its tags belong to the agent's language; the words between them are others', and become no control tokens. */
export function encodeTurn(tokenizer: Pick<Tokenizer, 'encode'>, turn: string): number[] {
  const spans: Span[] = [];
  let from = 0;
  for (const { 0: tag, index } of turn.matchAll(new RegExp(anyTag, 'g'))) {
    spans.push([from, index]);
    from = index + tag.length;
  }
  spans.push([from, turn.length]);
  return tokenizer.encode(
    turn,
    spans.filter(([start, end]) => start < end),
  );
}
