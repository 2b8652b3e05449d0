/**
 * Words of others in a text that is being put together: between two marks until it is encoded, so that the tokenizer knows
 * which characters must not become control tokens, through fillings and chat templates. The marks are noncharacters of Unicode,
 * which no text may hold; one that does loses them.
 */
import type { Span } from './added-tokens.ts';
import type { Tokenizer } from './tokenizer.types.ts';

const [OPEN, CLOSE] = ['\uFDD0', '\uFDD1'];
const marks = /[\uFDD0\uFDD1]/g;

/** Marks a text as somebody else's. White space at its ends stays outside, where templates trim it. */
export function foreign(text: string): string {
  const clean = text.replace(marks, '');
  const core = clean.trim();
  return core === '' ? clean : clean.replace(core, () => `${OPEN}${core}${CLOSE}`);
}

/** Ids of a text with marks. */
export function encodeMarked(tokenizer: Pick<Tokenizer, 'encode'>, marked: string): number[] {
  const spans: Span[] = [];
  let text = '';
  for (const [i, part] of marked.split(marks).entries()) {
    if (i % 2 === 1) spans.push([text.length, text.length + part.length]);
    text += part;
  }
  return tokenizer.encode(text, spans);
}

/**
 * Ids of a whole prompt with marks that no chat template made: it has to begin as the tokenizer begins texts, once; it may have
 * that beginning already, in words.
 */
export function encodeFromStart(tokenizer: Pick<Tokenizer, 'encode' | 'start'>, marked: string): number[] {
  const { start } = tokenizer;
  const ids = encodeMarked(tokenizer, marked);
  return start.every((id, i) => ids[i] === id) ? ids : [...start, ...ids];
}
