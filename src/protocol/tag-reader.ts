/** Reads a policy's text as it arrives, and tells its parts apart: thinking, a search's query, an answer, anything else. */

export type PartKind = 'think' | 'search' | 'answer' | 'other';

const tag = /<(\/?)(think|search|information|answer)>/;

/** What may be the beginning of a tag at the end of a piece. */
const unfinishedTag = /<\/?[a-z]{0,11}$/;

export class TagReader {
  readonly #onText: (kind: PartKind, text: string) => void;
  #kind: PartKind = 'other';
  #held = '';

  /** @param onText called with each piece of a part, without its tags */
  constructor(onText: (kind: PartKind, text: string) => void) {
    this.#onText = onText;
  }

  read(piece: string): void {
    let text = this.#held + piece;
    for (let found = tag.exec(text); found !== null; found = tag.exec(text)) {
      this.#tell(text.slice(0, found.index));
      const [whole, closing, name] = found;
      this.#kind = closing === '/' || name === 'information' ? 'other' : (name as PartKind);
      text = text.slice(found.index + whole.length);
    }
    const held = unfinishedTag.exec(text)?.index ?? text.length;
    this.#tell(text.slice(0, held));
    this.#held = text.slice(held);
  }

  /** The turn is over: what looked like the beginning of a tag was none, and nothing stays open. */
  end(): void {
    this.#tell(this.#held);
    this.#held = '';
    this.#kind = 'other';
  }

  #tell(text: string): void {
    if (text !== '') this.#onText(this.#kind, text);
  }
}
