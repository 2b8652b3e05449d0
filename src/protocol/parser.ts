/**
 * What the policy said: one turn's action, the response's answer, and whether the response keeps to the form.
 * Only text that the policy wrote is ever read; tags in prompts and passages do not count.
 */
import type { Segment } from './authors.ts';
import { anyTag } from './tags.ts';

export type Action =
  | { readonly kind: 'search'; readonly query: string }
  | { readonly kind: 'answer'; readonly answer: string }
  | { readonly kind: 'invalid' };

/** Where an action stands in its turn: from the opening tag's first character to behind the closing tag. */
export interface ActionSpan {
  readonly kind: 'search' | 'answer';
  /** Between the tags, trimmed. */
  readonly content: string;
  readonly start: number;
  readonly end: number;
}

/**
 * The first completed action of a turn: the first closing tag decides its kind, and its text begins at the last opening
 * tag of that kind, so that a tag mentioned while thinking does not swallow the thought. Undefined when there is none,
 * when another tag stands inside, or when a search has no query.
 */
export function findAction(turn: string): ActionSpan | undefined {
  const close = /<\/(search|answer)>/.exec(turn);
  if (close === null) return undefined;
  const kind = close[1] === 'search' ? 'search' : 'answer';
  const open = `<${kind}>`;
  const start = turn.lastIndexOf(open, close.index);
  if (start < 0) return undefined;
  const inside = turn.slice(start + open.length, close.index);
  if (anyTag.test(inside)) return undefined;
  const content = inside.trim();
  if (kind === 'search' && content === '') return undefined;
  return { kind, content, start, end: close.index + close[0].length };
}

/** The action of one turn's text. */
export function parseTurn(turn: string): Action {
  const action = findAction(turn);
  if (action === undefined) return { kind: 'invalid' };
  return action.kind === 'search'
    ? { kind: 'search', query: action.content }
    : { kind: 'answer', answer: action.content };
}

/** The text of the last complete answer tag that the policy wrote, trimmed; null when there is none. */
export function lastAnswer(response: readonly Segment[]): string | null {
  let last: string | null = null;
  for (const { author, text } of response) {
    if (author !== 'policy') continue;
    let rest = text;
    for (let end = rest.indexOf('</answer>'); end >= 0; end = rest.indexOf('</answer>')) {
      const start = rest.lastIndexOf('<answer>', end);
      const inside = start < 0 ? undefined : rest.slice(start + '<answer>'.length, end);
      if (inside !== undefined && !anyTag.test(inside)) last = inside.trim();
      rest = rest.slice(end + '</answer>'.length);
    }
  }
  return last;
}

const free = `(?:(?!${anyTag.source})[^])`;
const turnOf = (kind: ActionSpan['kind']) =>
  new RegExp(`^\\s*(?:<think>${free}*</think>\\s*)?<${kind}>(?!\\s*</${kind}>)${free}*</${kind}>\\s*$`);
const [searchTurn, answerTurn] = [turnOf('search'), turnOf('answer')];

/** True when every turn is a think block (it may be missing) and one search, and the last a think block and one answer. */
export function wellFormed(response: readonly Segment[]): boolean {
  const turns = response.filter((segment) => segment.author === 'policy');
  return (
    turns.length > 0 &&
    turns.every(({ text }, index) => (index === turns.length - 1 ? answerTurn : searchTurn).test(text))
  );
}
