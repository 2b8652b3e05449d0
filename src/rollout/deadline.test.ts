import { describe, expect, it } from 'vitest';
import { withDeadline } from './deadline.ts';

const never = () => new Promise<never>(() => {});

describe('withDeadline', () => {
  it('gives what is waited for, or how it failed', async () => {
    const error = new Error('no');
    expect(await withDeadline(60, undefined, async () => 7)).toEqual({ kind: 'done', value: 7 });
    expect(await withDeadline(60, undefined, () => Promise.reject(error))).toEqual({ kind: 'failed', error });
    const throws = () => {
      throw error;
    };
    expect(await withDeadline(60, undefined, throws)).toEqual({ kind: 'failed', error });
  });

  it('goes on after the deadline and aborts the work', async () => {
    let signal: AbortSignal | undefined;
    const outcome = await withDeadline(0.005, undefined, (given) => {
      signal = given;
      return never();
    });
    expect(outcome).toEqual({ kind: 'deadline' });
    expect(signal!.aborted).toBe(true);
  });

  it('goes on when the whole is cancelled, before or during the wait', async () => {
    const parent = new AbortController();
    const outcome = withDeadline(
      60,
      parent.signal,
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
    );
    parent.abort();
    expect(await outcome).toEqual({ kind: 'cancelled' });
    expect(await withDeadline(60, parent.signal, async () => 7)).toEqual({ kind: 'cancelled' });
  });

  it('can wait longer than a timer of the system can', async () => {
    expect(
      await withDeadline(1e12, undefined, () => new Promise((resolve) => setTimeout(() => resolve(1), 5))),
    ).toEqual({ kind: 'done', value: 1 });
  });
});
