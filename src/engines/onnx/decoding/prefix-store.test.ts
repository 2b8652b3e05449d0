import { beforeEach, describe, expect, it } from 'vitest';
import type { ModelConfig } from '../model/parameters.ts';
import { PagedCache } from './paged-cache.ts';
import type { CachedRow } from './pages.ts';
import { PrefixStore } from './prefix-store.ts';

const config: ModelConfig = {
  family: 'qwen2',
  vocabulary: 5,
  hidden: 8,
  layers: 1,
  heads: 1,
  keyValueHeads: 1,
  headSize: 2,
  intermediate: 8,
  ropeTheta: 10_000,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 100,
};

describe('PrefixStore', () => {
  let cache: PagedCache;
  let store: PrefixStore;
  const keep = (session: string | undefined, ids: readonly number[]): CachedRow => {
    const row = { pages: [], length: 0 };
    cache.extend(row, ids.length);
    store.keep(session, ids, row);
    return row;
  };
  beforeEach(() => {
    cache = new PagedCache(config, 4);
    store = new PrefixStore(cache);
  });

  it('finds the row with the longest prefix of a prompt, the last token left to read', () => {
    const a = keep('a', [1, 2, 3]);
    const b = keep('b', [1, 2, 7, 8, 9]);
    const rest = keep(undefined, [5]);
    expect(store.longest([1, 2, 3, 4])).toEqual({ row: a, length: 3 });
    expect(store.longest([1, 2, 3])).toEqual({ row: a, length: 2 });
    expect(store.longest([1, 2, 7, 8, 1])).toEqual({ row: b, length: 4 });
    expect(store.longest([5, 5])).toEqual({ row: rest, length: 1 });
    expect(store.longest([5])).toBeUndefined();
    expect(store.longest([9, 1])).toBeUndefined();
  });

  it('keeps a session’s newest row, and that of a released session for others', () => {
    const old = keep('a', [1, 2, 3]);
    const row = keep('a', [1, 2, 3, 4]);
    expect(old.pages).toEqual([]);
    store.release('a');
    store.release('a');
    expect(store.longest([1, 2, 3, 4, 5])).toEqual({ row, length: 4 });
    store.clear();
    expect(store.longest([1, 2, 3, 4, 5])).toBeUndefined();
    expect(row.pages).toEqual([]);
  });

  it('drops the oldest when there is too much: of sessions above 1 GiB, of the rest above 128 MiB', () => {
    // A cache that claims to be large; nothing of it is ever touched.
    cache.bytesOf = (length) => length * 2 ** 25;
    const sessions = ['a', 'b', 'c', 'd'].map((name, n) => keep(name, [n, 0, 0, 0, 0, 0, 0, 0, 0]));
    expect(sessions.map(({ pages }) => pages.length)).toEqual([0, 1, 1, 1]);
    const rest = [10, 11, 12].map((first) => keep(undefined, [first, 0]));
    expect(rest.map(({ pages }) => pages.length)).toEqual([0, 1, 1]);
    // A released session counts with the rest, and is too large for it: everything older goes, and it too.
    store.release('d');
    expect([...rest, sessions[3]!].map(({ pages }) => pages.length)).toEqual([0, 0, 0, 0]);
    expect(sessions[2]!.pages).toHaveLength(1);
  });
});
