/** A deadline on a wait: whatever is waited for, even something that ignores its signal, the caller goes on. */

export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'deadline' }
  | { readonly kind: 'cancelled' };

/** The longest time a timer of Node can wait, in milliseconds. */
const longestTimer = 2 ** 31 - 1;

/**
 * Waits for `start(signal)` at most `seconds`, and no longer than `parent` stays unaborted. The signal it passes on is
 * aborted in both cases, so that the work can stop. Never rejects.
 */
export function withDeadline<T>(
  seconds: number,
  parent: AbortSignal | undefined,
  start: (signal: AbortSignal) => Promise<T>,
): Promise<Outcome<T>> {
  if (parent?.aborted) return Promise.resolve({ kind: 'cancelled' });
  return new Promise((resolve) => {
    const work = new AbortController();
    const settle = (outcome: Outcome<T>) => {
      clearTimeout(timer);
      parent?.removeEventListener('abort', cancel);
      // Before the abort, since what the work then rejects with is no longer the outcome.
      resolve(outcome);
      if (outcome.kind === 'deadline' || outcome.kind === 'cancelled') work.abort();
    };
    const cancel = () => settle({ kind: 'cancelled' });
    const timer = setTimeout(() => settle({ kind: 'deadline' }), Math.min(seconds * 1000, longestTimer));
    parent?.addEventListener('abort', cancel, { once: true });
    new Promise<T>((done) => done(start(work.signal))).then(
      (value) => settle({ kind: 'done', value }),
      (error: unknown) => settle({ kind: 'failed', error }),
    );
  });
}
