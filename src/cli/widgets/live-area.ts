/**
 * A few lines at the bottom of a terminal that are drawn again in place; without a terminal, plain lines at a sensible rate.
 * Lasting lines are printed above. After `finish` nothing is left of the area and the cursor stands at a line's start.
 */

/** What is needed of process.stderr. */
export interface LiveOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export interface LiveView {
  /** For the terminal; each is cut to its width. */
  readonly lines: readonly string[];
  /** For a log: one line that says it all. */
  readonly plain: string;
  /** A change that a log should show at once, such as a new stage. */
  readonly milestone: string;
}

const REDRAW_SECONDS = 0.1;
const PLAIN_SECONDS = 10;
const UP_AND_CLEAR = '\u001b[1A\u001b[2K';
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';

export class LiveArea {
  readonly #output: LiveOutput;
  readonly #inPlace: boolean;
  readonly #now: () => number;
  #drawn = 0;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #milestone = '';

  /** `inPlace` false: plain lines even in a terminal. `now` in seconds. */
  constructor(output: LiveOutput, inPlace = true, now: () => number = () => performance.now() / 1000) {
    this.#output = output;
    this.#inPlace = inPlace && output.isTTY === true;
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
      this.#output.write(`${view.plain}\n`);
      return;
    }
    // One character less than the width: a full line would wrap in some terminals, and then it is two.
    const width = (this.#output.columns || 80) - 1;
    const lines = view.lines.map((line) => `${[...line].slice(0, width).join('')}\n`);
    this.#output.write(`${this.#drawn === 0 ? HIDE_CURSOR : this.#erase()}${lines.join('')}`);
    this.#drawn = lines.length;
  }

  /** Prints a line that stays. The area is drawn again below it by the next `show`. */
  print(line: string): void {
    const erase = this.#drawn > 0 ? this.#erase() + SHOW_CURSOR : '';
    this.#output.write(`${erase}${line}\n`);
    this.#drawn = 0;
    if (this.#inPlace) this.#drawnAt = Number.NEGATIVE_INFINITY;
  }

  /** Removes the area. */
  finish(): void {
    if (this.#drawn > 0) this.#output.write(this.#erase() + SHOW_CURSOR);
    this.#drawn = 0;
  }

  #erase(): string {
    return UP_AND_CLEAR.repeat(this.#drawn);
  }
}

/** "3:07", "1:02:03". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A bar of `width` characters. */
export function bar(fraction: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}
