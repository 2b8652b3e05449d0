/** Asking again what failed in passing: with growing waits, as long as it may help and nobody calls it off. */
import { pause } from './pause.ts';

/** A reason to ask again, after at least so many seconds where the other side named them. Whatever else is thrown is final. */
export class Passing extends Error {
  readonly afterSeconds: number;

  constructor(message: string, { afterSeconds = 0, cause }: { afterSeconds?: number; cause?: unknown } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.afterSeconds = afterSeconds;
  }
}

export interface Patience {
  /** Attempts before giving up, ≥ 1. */
  readonly attempts: number;
  /** The first wait, in seconds; it doubles each time up to `longestWait`, and each is shortened at random by up to a half. */
  readonly firstWait: number;
  readonly longestWait: number;
}

/**
 * Runs `attempt` until it succeeds or fails for good; it is told how often it has failed. When it fails in passing for the last time, that
 * `Passing` is thrown. Aborting the signal ends the waiting (an attempt has to look at it itself) with its reason.
 */
export async function patiently<T>(
  { attempts, firstWait, longestWait }: Patience,
  attempt: (failures: number) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  for (let failures = 0; ; ) {
    signal?.throwIfAborted();
    try {
      return await attempt(failures);
    } catch (error) {
      signal?.throwIfAborted();
      failures += 1;
      if (!(error instanceof Passing) || failures >= attempts) throw error;
      // Only waiting depends on chance here, no result does.
      const wait = Math.min(longestWait, firstWait * 2 ** (failures - 1)) * (1 - Math.random() / 2);
      await pause(Math.max(wait, error.afterSeconds), signal);
    }
  }
}

const LONGEST_NAMED_WAIT = 60;

/** Seconds that a server asks to wait by Retry-After, as a number or a date; at most a minute, and 0 when it names none. */
export function retryAfter(headers: Pick<Headers, 'get'>): number {
  const value = headers.get('Retry-After');
  if (value === null) return 0;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(LONGEST_NAMED_WAIT, Math.max(0, seconds)) : 0;
}
