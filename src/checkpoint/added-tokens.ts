/**
 * Added tokens (`<|im_end|>`, `[INST]`) are found in a text before anything else, whoever wrote it. Here they are kept from
 * being found in what others wrote: questions, titles and passages are data, and must not begin or end a turn.
 */

/** A stretch of a text in UTF-16 units: from `start` up to, not including, `end`. */
export type Span = readonly [start: number, end: number];

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

/**
 * Whether a token is for the model's format alone: every special one, and of the others those that are more than words or white
 * space ("<tool_call>"); vocabularies are extended by such plain ones, which may stand in anybody's text.
 */
export function isControl({ content, special }: AddedToken): boolean {
  return special || !/^[\p{L}\p{N}\p{M}\s'’_.-]+$/u.test(content);
}

/** Finds added tokens as tokenizers do: from left to right, at each place the longest. */
export class AddedTokenFinder {
  /** By first character, longest first. */
  readonly #tokens = new Map<string, AddedToken[]>();
  /** What one of them begins with. */
  readonly #beginning: RegExp;

  constructor(tokens: readonly AddedToken[]) {
    for (const token of [...tokens].sort((a, b) => b.content.length - a.content.length)) {
      if (token.content === '') continue;
      const first = token.content[0]!;
      this.#tokens.set(first, [...(this.#tokens.get(first) ?? []), token]);
    }
    const code = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
    // Without the flag u, a class is of UTF-16 units, as indexes are; an empty one matches nothing.
    this.#beginning = new RegExp(`[${[...this.#tokens.keys()].map(code).join('')}]`, 'g');
  }

  /**
   * What must not be searched for added tokens, since others wrote a control token there, wholly or in part: in order, without
   * overlap. An empty span only parts what stands before it from what comes.
   */
  writtenByOthers(text: string, foreign: readonly Span[]): Span[] {
    const found: Span[] = [];
    if (foreign.length === 0) return found;
    for (let at = this.#next(text, 0); at < text.length; at = this.#next(text, at)) {
      const here = this.#tokens.get(text[at]!)?.filter(({ content }) => text.startsWith(content, at)) ?? [];
      const [longest] = here;
      if (longest === undefined) {
        at += 1;
        continue;
      }
      const end = at + longest.content.length;
      const others = foreign.filter(([from, to]) => from < end && at < to);
      if (others.length === 0 || !isControl(longest)) {
        at = end;
        continue;
      }
      const [from, to] = others[0]!;
      // A shorter token may be the text's own, here or further on, up to where the words of others begin.
      const own = here.find(({ content }) => at + content.length <= from);
      const first = String.fromCodePoint(text.codePointAt(at)!).length;
      const stop = own ? at + own.content.length : at < from ? at + first : Math.min(end, to);
      found.push(own ? [stop, stop] : [at, stop]);
      at = stop;
    }
    return found;
  }

  /** Where a token may begin, from `at` on; the text's length when nowhere. */
  #next(text: string, at: number): number {
    this.#beginning.lastIndex = at;
    return this.#beginning.exec(text)?.index ?? text.length;
  }
}

/** The text cut at the spans: parts between them and the spans themselves, in order, none empty. */
export function cutAt(text: string, spans: readonly Span[]): { readonly text: string; readonly inside: boolean }[] {
  const parts: { text: string; inside: boolean }[] = [];
  let from = 0;
  for (const [start, end] of spans) {
    parts.push({ text: text.slice(from, start), inside: false }, { text: text.slice(start, end), inside: true });
    from = end;
  }
  parts.push({ text: text.slice(from), inside: false });
  return parts.filter((part) => part.text !== '');
}
