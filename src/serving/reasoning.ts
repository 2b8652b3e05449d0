/**
 * The work on a question as text, as it happens: thoughts, searches and the titles that they found. The answer is no part of it.
 *
 *     I need the author.
 *     Search: author of Faust
 *     1. Faust
 *     2. (no title)
 */
import { TagReader } from '../protocol/tag-reader.ts';
import type { RolloutEvent } from '../rollout/turns.ts';

export class Reasoning {
  readonly #say: (piece: string) => void;
  readonly #reader: TagReader;
  #atLineStart = true;
  /** Blanks are written when something follows them. */
  #blanks = '';

  /** @param say called with each piece; joined, they are the whole */
  constructor(say: (piece: string) => void) {
    this.#say = say;
    this.#reader = new TagReader((kind, text) => {
      // A query is told by the search itself; an answer is told by whoever has the whole of it.
      if (kind === 'think' || kind === 'other') this.#add(text);
    });
  }

  see(event: RolloutEvent): void {
    switch (event.kind) {
      case 'text':
        this.#reader.read(event.piece);
        return;
      case 'reasoning':
        this.#add(event.piece);
        return;
      case 'search':
        this.#line(`Search: ${event.query}`);
        return;
      case 'found':
        for (const [i, { title }] of event.search.passages.entries())
          this.#line(`${i + 1}. ${title === '' ? '(no title)' : title}`);
        if (event.search.passages.length === 0) this.#line('(nothing found)');
        return;
      case 'invalid':
        this.#line('(neither a search nor an answer: asked again)');
        return;
    }
  }

  /** The end: what was held back as the beginning of a tag was none. */
  end(): void {
    this.#reader.end();
  }

  #line(text: string): void {
    this.#reader.end();
    this.#blanks = '';
    this.#say(`${this.#atLineStart ? '' : '\n'}${text.replace(/\s+/g, ' ')}\n`);
    this.#atLineStart = true;
  }

  #add(text: string): void {
    const words = text.trim();
    this.#blanks += text.slice(0, text.length - text.trimStart().length);
    if (words === '') return;
    // At a line's start blanks are no part of the text.
    this.#say((this.#atLineStart ? '' : this.#blanks) + words);
    this.#atLineStart = false;
    this.#blanks = text.slice(text.trimEnd().length);
  }
}
