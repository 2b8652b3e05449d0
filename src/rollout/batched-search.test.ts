import { describe, expect, it } from 'vitest';
import { batchSearches } from './batched-search.ts';
import { hitsOf } from './testing/environment.ts';

const found = async (queries: readonly string[]) => queries.map(hitsOf);

describe('batchSearches', () => {
  it('gives each caller its own lists, in one call for each number of passages', async () => {
    const calls: [readonly string[], number][] = [];
    const search = batchSearches(async (queries, k) => {
      calls.push([queries, k]);
      return found(queries);
    });
    const answers = await Promise.all([search(['a'], 3), search(['b', 'c'], 3), search(['d'], 2), search([], 3)]);
    expect(answers).toEqual([[hitsOf('a')], [hitsOf('b'), hitsOf('c')], [hitsOf('d')], []]);
    expect(calls).toEqual([
      [['a', 'b', 'c'], 3],
      [['d'], 2],
    ]);
    await search(['e'], 3);
    expect(calls).toHaveLength(3);
  });

  it('asks one by one after a batch that failed or came back short', async () => {
    for (const broken of [async () => Promise.reject(new Error('batch')), async () => []]) {
      const search = batchSearches(async (queries) =>
        queries.length > 1 ? broken() : queries[0] === 'bad' ? Promise.reject(new Error('bad')) : found(queries),
      );
      const answers = await Promise.allSettled([search(['a'], 3), search(['bad'], 3), search(['c'], 3)]);
      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(answers[2]).toMatchObject({ value: [hitsOf('c')] });
    }
  });

  it('aborts the call only when every caller has given up', async () => {
    let inner: AbortSignal | undefined;
    const search = batchSearches((_, __, signal) => {
      inner = signal;
      return new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)));
    });
    const [first, second] = [new AbortController(), new AbortController()];
    const waits = Promise.allSettled([search(['a'], 3, first.signal), search(['b'], 3, second.signal)]);
    await new Promise((resolve) => setImmediate(resolve));
    first.abort();
    expect(inner!.aborted).toBe(false);
    second.abort();
    expect(inner!.aborted).toBe(true);
    expect((await waits).every(({ status }) => status === 'rejected')).toBe(true);
  });
});
