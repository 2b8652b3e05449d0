import { expect, test } from 'vitest';
import { cacheKey, ResultCache } from './result-cache.ts';

const list = (n: number) => ({ positions: new Uint32Array(n), scores: new Float64Array(n) });

test('the least recently used lists are forgotten first, and the bytes stay below the capacity', () => {
  const cache = new ResultCache(1500);
  for (const key of ['a', 'b', 'c']) cache.set(key, list(3));
  expect(cache.get('a')).toBeDefined();
  cache.set('d', list(3));
  expect(['a', 'b', 'c', 'd'].filter((key) => cache.get(key))).toEqual(['a', 'c', 'd']);
  expect(cache.bytes).toBeLessThanOrEqual(1500);
  cache.set('huge', list(1000));
  expect(cache.get('huge')).toBeUndefined();
  expect(cache.bytes).toBe(0);
});

test('a list set twice counts once', () => {
  const cache = new ResultCache(10_000);
  cache.set('a', list(5));
  const bytes = cache.bytes;
  cache.set('a', list(5));
  expect(cache.bytes).toBe(bytes);
});

test('keys tell apart what lists depend on', () => {
  const term = (id: number, count: number) => ({ id, count, idf: 1, weight: count });
  const keys = [
    cacheKey([term(1, 1), term(2, 1)], 3),
    cacheKey([term(1, 2), term(2, 1)], 3),
    cacheKey([term(1, 1), term(2, 1)], 10),
    cacheKey([term(12, 1)], 3),
    cacheKey([], 3),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});
