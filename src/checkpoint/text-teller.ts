/** Text as its tokens come. */
import type { TokenIds } from '../policy/policy.ts';
import type { Tokenizer } from './tokenizer.types.ts';

/**
 * Turns growing lists of ids into pieces of text; joined, the pieces are the text of the last list. Give `done` with the
 * last one: an unfinished character at the end of the others is held back.
 */
export function textTeller(
  { decode }: Pick<Tokenizer, 'decode'>,
  onText: (piece: string) => void,
): (ids: TokenIds, done: boolean) => void {
  let told = 0;
  return (ids, done) => {
    // An unfinished character is decoded as U+FFFD; the next tokens may complete it.
    const text = done ? decode(ids) : decode(ids).replace(/\uFFFD+$/, '');
    if (text.length > told) onText(text.slice(told));
    told = text.length;
  };
}

/** The tokens of a sample that are text: all but the stop token that ended it. */
export function readTokens({ ids, stop }: { readonly ids: TokenIds; readonly stop: string }): TokenIds {
  return stop === 'stop-token' ? ids.slice(0, -1) : ids;
}
