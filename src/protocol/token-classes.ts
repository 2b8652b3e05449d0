/** What each token of a response is for: thought, query, answer, or a tag of the language. A view for metrics and controls. */
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { type AuthoredIds, turnsOf } from './authors.ts';

export type TokenClass = 'think' | 'search' | 'answer' | 'tag' | 'environment';

/** Those that the policy writes. */
export const policyClasses = ['think', 'search', 'answer', 'tag'] as const;

/**
 * The class of every token. Within a turn of the policy, text behind `<search>` is a query and behind `<answer>` an answer, up to
 * the next tag; all other text is thought. A token that overlaps a tag by a character is a tag.
 */
export function tokenClasses(tokenizer: Pick<Tokenizer, 'pieces'>, { ids, mask }: AuthoredIds): TokenClass[] {
  const classes: TokenClass[] = new Array(ids.length).fill('environment');
  for (const { start, end } of turnsOf(mask)) {
    const pieces = ids.slice(start, end).map((id) => tokenizer.pieces[id] ?? '');
    const spans = classSpans(pieces.join(''));
    let [offset, span] = [0, 0];
    for (const [i, piece] of pieces.entries()) {
      while (span < spans.length - 1 && spans[span]!.end <= offset) span += 1;
      // The spans that this token touches are consecutive; a tag among them wins.
      const touched = spans.slice(span).filter((each) => each.start < offset + piece.length);
      classes[start + i] = touched.some((each) => each.of === 'tag') ? 'tag' : (touched[0]?.of ?? 'think');
      offset += piece.length;
    }
  }
  return classes;
}

interface Span {
  readonly of: TokenClass;
  readonly start: number;
  readonly end: number;
}

function classSpans(turn: string): Span[] {
  const spans: Span[] = [];
  let [of, position]: [TokenClass, number] = ['think', 0];
  for (const { 0: tag, index } of turn.matchAll(/<\/?(?:think|search|information|answer)>/g)) {
    if (index > position) spans.push({ of, start: position, end: index });
    position = index + tag.length;
    spans.push({ of: 'tag', start: index, end: position });
    of = tag === '<search>' ? 'search' : tag === '<answer>' ? 'answer' : 'think';
  }
  if (position < turn.length) spans.push({ of, start: position, end: turn.length });
  return spans;
}
