import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Passing, patiently, retryAfter } from './retry.ts';

/** Waits that were asked for, in seconds; nothing waits. */
const waits = vi.hoisted((): number[] => []);
vi.mock('./pause.ts', () => ({
  pause: async (seconds: number, signal?: AbortSignal) => {
    waits.push(seconds);
    signal?.throwIfAborted();
  },
}));

beforeEach(() => {
  waits.length = 0;
});
afterEach(() => {
  vi.restoreAllMocks();
});

const patience = { attempts: 6, firstWait: 0.5, longestWait: 3 };
/** Fails in passing so often, then gives the number of failures. */
const failing = (times: number, afterSeconds?: number) => async (failures: number) => {
  if (failures < times) throw new Passing(`busy ${failures}`, afterSeconds === undefined ? {} : { afterSeconds });
  return failures;
};

describe('patiently', () => {
  it('asks again until it succeeds, and tells how often it has failed', async () => {
    expect(await patiently(patience, failing(0))).toBe(0);
    expect(waits).toEqual([]);
    expect(await patiently(patience, failing(3))).toBe(3);
    expect(waits).toHaveLength(3);
  });

  it('waits twice as long each time up to the longest wait, shortened at random by up to a half', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    await patiently(patience, failing(5));
    vi.spyOn(Math, 'random').mockReturnValue(1);
    await patiently(patience, failing(5));
    expect(waits).toEqual([0.5, 1, 2, 3, 3, 0.25, 0.5, 1, 1.5, 1.5]);
  });

  it('waits at least as long as the other side asks', async () => {
    await patiently(patience, failing(2, 7));
    expect(waits).toEqual([7, 7]);
  });

  it('throws the last failure after the last attempt, and what is final at once', async () => {
    await expect(patiently(patience, failing(99))).rejects.toThrow('busy 5');
    expect(waits).toHaveLength(5);
    let attempts = 0;
    const refused = patiently(patience, async () => {
      attempts += 1;
      throw new TypeError('refused');
    });
    await expect(refused).rejects.toThrow('refused');
    expect(attempts).toBe(1);
  });

  it('ends with the reason when it is called off, whatever the attempt threw', async () => {
    const controller = new AbortController();
    const called = patiently(
      patience,
      async () => {
        controller.abort(new Error('stopped by SIGINT'));
        throw new Passing('busy');
      },
      controller.signal,
    );
    await expect(called).rejects.toThrow('stopped by SIGINT');
    await expect(patiently(patience, failing(0), controller.signal)).rejects.toThrow('stopped by SIGINT');
  });
});

describe('Retry-After', () => {
  it.each([
    [null, 0],
    ['7', 7],
    ['0', 0],
    ['86400', 60],
    ['soon', 0],
    ['-3', 0],
  ])('%s is %d s', (value, seconds) => {
    expect(retryAfter(new Headers(value === null ? {} : { 'Retry-After': value }))).toBe(seconds);
  });

  it('may be a date', () => {
    const at = (seconds: number) => new Headers({ 'Retry-After': new Date(Date.now() + 1000 * seconds).toUTCString() });
    expect(retryAfter(at(20))).toBeGreaterThan(17);
    expect(retryAfter(at(20))).toBeLessThanOrEqual(20);
    expect(retryAfter(at(-100))).toBe(0);
  });
});
