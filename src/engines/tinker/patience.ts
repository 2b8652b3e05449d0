/** How long to be patient with a server, and how to wait between attempts. */
import { pause } from '../../base/pause.ts';
import type { Outcome } from './http.ts';

/** How long to be patient, in seconds. */
export interface Patience {
  /** Waits between attempts: the first one, doubled up to the longest, each shortened at random by up to a half. */
  readonly firstWait: number;
  readonly longestWait: number;
  /** Attempts go on so long without any answer that helps. */
  readonly unavailable: number;
  /** A promise is waited for so long. */
  readonly progress: number;
  /** Account out of credit (402): asked every so often, for so long. */
  readonly paymentWait: number;
  readonly payment: number;
}

export const usualPatience: Patience = {
  firstWait: 0.5,
  longestWait: 10,
  unavailable: 300,
  progress: 1800,
  paymentWait: 5,
  payment: 3600,
};

/** Growing waits, and the time since they began. */
export class Waiting {
  readonly signal: AbortSignal;
  readonly #patience: Patience;
  readonly #began = performance.now();
  #next: number;

  constructor(patience: Patience, signal: AbortSignal) {
    this.#patience = patience;
    this.signal = signal;
    this.#next = patience.firstWait;
  }

  /** In seconds. */
  get elapsed(): number {
    return (performance.now() - this.#began) / 1000;
  }

  /** Waits, at least the seconds that a server named; throws what `tooLong` gives when the patience is at its end. */
  async pause({ named = 0, tooLong }: { named?: number; tooLong?: () => Error } = {}): Promise<void> {
    const { longestWait, unavailable } = this.#patience;
    if (tooLong !== undefined && this.elapsed > unavailable) throw tooLong();
    // Only waiting depends on chance here, no result does.
    const wait = Math.min(longestWait, this.#next) * (1 - Math.random() / 2);
    this.#next = Math.min(longestWait, 2 * this.#next);
    await pause(Math.max(wait, named), this.signal);
  }
}

const LONGEST_NAMED_WAIT = 60;

/** Seconds that the server asks to wait, as a number or a date; 0 when it names none. */
export function retryAfter(outcome: Outcome): number {
  const value = outcome.kind === 'answer' ? outcome.headers['retry-after'] : undefined;
  if (value === undefined) return 0;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(LONGEST_NAMED_WAIT, Math.max(0, seconds)) : 0;
}
