/** Labelled paragraphs on a terminal, word by word as they arrive: wrapped to its width, indented, in colour where it can. */
import { styleText } from 'node:util';
import { printable } from '../../base/text.ts';
import type { LiveOutput } from './live-area.ts';
import { type Environment, isRich } from './terminal.ts';

export type Style = Parameters<typeof styleText>[0];

/** Width of the column of labels. */
const INDENT = 9;

export class Paragraphs {
  readonly #output: LiveOutput;
  readonly #coloured: boolean;
  #column = 0;
  /** A word whose end has not arrived. */
  #word = '';
  #style: Style = 'reset';

  constructor(output: LiveOutput, environment: Environment = process.env) {
    this.#output = output;
    this.#coloured = isRich(output, environment);
  }

  /** True while a paragraph has no text yet. */
  get atStart(): boolean {
    return this.#column === INDENT && this.#word === '';
  }

  /** Begins a paragraph. */
  begin(label: string, style: Style = 'reset'): void {
    this.end();
    this.#style = style;
    this.#output.write(this.#dress(label.padEnd(INDENT), style === 'reset' ? 'dim' : style));
    this.#column = INDENT;
  }

  /** Adds text to it; a line break in the text is one here. */
  add(text: string): void {
    for (const [, word, space] of printable(text).matchAll(/(\S*)(\s*)/g)) {
      this.#word += word;
      if (space === '') continue;
      this.#putWord();
      if (space!.includes('\n')) this.#newLine();
    }
  }

  /** A line of its own, in the column of texts. */
  line(text: string, style: Style = 'reset'): void {
    if (this.#column > 0) this.#newLine();
    this.#style = style;
    this.#output.write(' '.repeat(INDENT));
    this.#column = INDENT;
    this.add(text);
    this.end();
  }

  /** Ends the paragraph and its line. */
  end(): void {
    this.#putWord();
    if (this.#column > 0) this.#output.write('\n');
    this.#column = 0;
  }

  #putWord(): void {
    let word = [...this.#word];
    this.#word = '';
    // Without a terminal lines are as long as they are. One column stays free: a full line would wrap in some terminals.
    const width = this.#output.isTTY === true ? Math.max(INDENT + 10, (this.#output.columns || 80) - 1) : Infinity;
    while (word.length > 0) {
      if (this.#column === 0) this.#indent();
      const gap = this.#column === INDENT ? 0 : 1;
      if (gap === 1 && this.#column + gap + word.length > width) {
        this.#newLine();
        continue;
      }
      const part = word.slice(0, width - this.#column - gap);
      word = word.slice(part.length);
      this.#output.write(' '.repeat(gap) + this.#dress(part.join(''), this.#style));
      this.#column += gap + part.length;
    }
  }

  /** The indent is written with the next word: trailing spaces help nobody. */
  #newLine(): void {
    if (this.#column > 0) this.#output.write('\n');
    this.#column = 0;
  }

  #indent(): void {
    this.#output.write(' '.repeat(INDENT));
    this.#column = INDENT;
  }

  #dress(text: string, style: Style): string {
    return this.#coloured && style !== 'reset' ? styleText(style, text, { validateStream: false }) : text;
  }
}
