import fc from 'fast-check';
import { expect, it } from 'vitest';
import { stretches, turnsOf } from './authors.ts';

const mask = fc.array(fc.constantFrom<0 | 1>(0, 1), { maxLength: 20 });

it('stretches cover the response without a gap, authors in turns', () => {
  fc.assert(
    fc.property(mask, (mask) => {
      const found = stretches(mask);
      expect(
        found.flatMap(({ author, start, end }) => new Array(end - start).fill(author === 'policy' ? 1 : 0)),
      ).toEqual(mask);
      for (const [i, { author, start, end }] of found.entries()) {
        expect(start).toBe(found[i - 1]?.end ?? 0);
        expect(end).toBeGreaterThan(start);
        expect(author).not.toBe(found[i - 1]?.author);
      }
    }),
  );
});

it('turns are the stretches that the policy wrote', () => {
  expect(turnsOf([1, 1, 0, 1, 0, 0, 1])).toEqual([
    { author: 'policy', start: 0, end: 2 },
    { author: 'policy', start: 3, end: 4 },
    { author: 'policy', start: 6, end: 7 },
  ]);
  expect(turnsOf([0, 0])).toEqual([]);
  fc.assert(
    fc.property(mask, (mask) => {
      const own = new Set(
        turnsOf(mask).flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i)),
      );
      expect(mask.map((_, t) => (own.has(t) ? 1 : 0))).toEqual(mask);
    }),
  );
});
