/**
 * A few lines at the bottom of a terminal that are drawn again in place; elsewhere (terminal.ts says where) plain lines of ASCII at
 * a sensible rate.
 * Lasting lines are printed above. After `finish` nothing is left of the area and the cursor stands at a line's start.
 */

import { printable } from '../../base/text.ts';
import type { LiveOutput } from './output.ts';
import { brokenAtWords, type Environment, fitting, isRich } from './terminal.ts';

export type { LiveOutput } from './output.ts';

export interface LiveView {
  /** For the terminal: parts between two spaces each; those that do not fit its width are left out, the last ones first. */
  readonly lines: readonly string[];
  /** For a log: one line that says it all. */
  readonly plain: string;
  /** A change that a log should show at once, such as a new stage. */
  readonly milestone: string;
}

const REDRAW_SECONDS = 0.1;
const PLAIN_SECONDS = 10;
/** The line below the area, where the terminal may have echoed a key such as ^C. */
const CLEAR = '\r\u001b[2K';
const UP_AND_CLEAR = '\u001b[1A\u001b[2K';
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';

export class LiveArea {
  readonly #output: LiveOutput;
  readonly #inPlace: boolean;
  readonly #environment: Environment;
  readonly #now: () => number;
  /** Columns of each line of the area as it was drawn. */
  #drawn: readonly number[] = [];
  #drawnAt = Number.NEGATIVE_INFINITY;
  #milestone = '';

  /** `inPlace` false: plain lines even in a terminal. `now` in seconds. */
  constructor(
    output: LiveOutput,
    inPlace = true,
    now: () => number = () => performance.now() / 1000,
    environment: Environment = process.env,
  ) {
    this.#output = output;
    this.#environment = environment;
    this.#inPlace = inPlace && isRich(output, environment);
    this.#now = now;
  }

  /** Shows the present state, unless it was shown a moment ago. */
  show(view: LiveView): void {
    const fresh = view.milestone !== this.#milestone;
    const elapsed = this.#now() - this.#drawnAt;
    if (!fresh && elapsed < (this.#inPlace ? REDRAW_SECONDS : PLAIN_SECONDS)) return;
    this.#milestone = view.milestone;
    this.#drawnAt = this.#now();
    if (!this.#inPlace) {
      this.#output.write(`${this.#staying(view.plain)}\n`);
      return;
    }
    const lines = view.lines.map((line) => partsThatFit(printable(line), this.#width));
    this.#output.write(
      `${this.#drawn.length === 0 ? HIDE_CURSOR : this.#erase()}${lines.map((line) => `${line}\n`).join('')}`,
    );
    this.#drawn = lines.map((line) => [...line].length);
  }

  /** Prints a line that stays. The area is drawn again below it by the next `show`. */
  print(line: string): void {
    const erase = this.#drawn.length > 0 ? this.#erase() + SHOW_CURSOR : '';
    this.#output.write(`${erase}${this.#staying(line)}\n`);
    this.#drawn = [];
    if (this.#inPlace) this.#drawnAt = Number.NEGATIVE_INFINITY;
  }

  /** Removes the area. */
  finish(): void {
    if (this.#drawn.length > 0) this.#output.write(this.#erase() + SHOW_CURSOR);
    this.#drawn = [];
  }

  /** One column less than there are: a full line would wrap in some terminals, and then it is two. */
  get #width(): number {
    return (this.#output.columns || 80) - 1;
  }

  /** A line that is never drawn over: in a terminal, even one that can do nothing else, it breaks between words. */
  #staying(line: string): string {
    const text = fitting(printable(line), this.#output, this.#environment);
    return this.#output.isTTY ? brokenAtWords(text, this.#width) : text;
  }

  /** A terminal that became narrower has broken the lines that were drawn: each takes as many rows as it needs now. */
  #erase(): string {
    const rows = this.#drawn.map((columns) => Math.max(1, Math.ceil(columns / (this.#width + 1))));
    return CLEAR + UP_AND_CLEAR.repeat(rows.reduce((sum, count) => sum + count, 0));
  }
}

/** As many of a line's parts (between two spaces each) as fit; of a first part that is too long, its words. */
function partsThatFit(line: string, width: number): string {
  const separator = '  ';
  let parts = line.split(separator);
  while (parts.length > 1 && [...parts.join(separator)].length > width) parts = parts.slice(0, -1);
  const kept = [...parts.join(separator)];
  if (kept.length <= width) return kept.join('');
  const cut = kept.slice(0, width - 1).join('');
  const word = cut.lastIndexOf(' ');
  return `${word > width / 2 ? cut.slice(0, word) : cut}…`;
}

/** A bar of `width` characters. */
export function bar(fraction: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}
