import { describe, expect, it } from 'vitest';
import type { SavedRow } from './decoder.ts';
import { SessionStore } from './session-store.ts';

/** A row that claims to take this much memory. */
const row = (bytes: number): SavedRow => [
  { keys: { byteLength: bytes / 2 } as Float32Array, values: { byteLength: bytes / 2 } as Float32Array },
];

describe('SessionStore', () => {
  it('finds how much of a prompt it holds, the last token left to compute', () => {
    const store = new SessionStore();
    store.set('a', [1, 2, 3], row(8));
    expect(store.sharedLength('a', [1, 2, 3, 4])).toBe(3);
    expect(store.sharedLength('a', [1, 2, 3])).toBe(2);
    expect(store.sharedLength('a', [1, 2])).toBe(1);
    expect(store.sharedLength('a', [1, 9, 3, 4])).toBe(1);
    expect(store.sharedLength('a', [9])).toBe(0);
    expect(store.sharedLength('b', [1, 2, 3])).toBe(0);
    expect(store.sharedLength(undefined, [1, 2, 3])).toBe(0);
  });

  it('drops the oldest when rows take more than a gibibyte', () => {
    const store = new SessionStore();
    const third = row(0.3 * 2 ** 30);
    for (const name of ['a', 'b', 'c']) store.set(name, [1], third);
    store.set('a', [1, 2], third);
    store.set('d', [1], third);
    expect(['a', 'b', 'c', 'd'].map((name) => store.get(name) !== undefined)).toEqual([true, false, true, true]);
    store.delete('c');
    store.set('e', [1], third);
    expect(store.get('a')).toBe(third);
    store.set('large', [1], row(2 ** 31));
    expect(store.get('large')).toBeUndefined();
    store.clear();
    expect(store.get('a')).toBeUndefined();
  });
});
