import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHalf, toHalf } from './float16.ts';

test('every pattern is its own nearest half', () => {
  for (let pattern = 0; pattern < 0x10000; pattern++) {
    const value = fromHalf(pattern);
    if (Number.isNaN(value)) expect((toHalf(value) & 0x7fff) > 0x7c00).toBe(true);
    else if (toHalf(value) !== pattern) expect.fail(`${pattern} became ${toHalf(value)}`);
  }
});

test.each([
  // Published values of binary16.
  [0x3c00, 1],
  [0xc000, -2],
  [0x7bff, 65504],
  [0x0400, 2 ** -14],
  [0x0001, 2 ** -24],
  [0x3555, 0.333251953125],
  [0x7c00, Number.POSITIVE_INFINITY],
  [0x8000, -0],
])('pattern %s is %s', (pattern, value) => {
  expect(fromHalf(pattern)).toBe(value);
});

test.each([
  [65519, 65504],
  [65520, Number.POSITIVE_INFINITY],
  [-1e30, Number.NEGATIVE_INFINITY],
  [2 ** -25, 0],
  [1.5 * 2 ** -24, 2 ** -23],
  [1 + 2 ** -11, 1],
  [1 + 3 * 2 ** -11, 1 + 2 ** -9],
])('%s rounds to %s', (value, expected) => {
  expect(fromHalf(toHalf(value))).toBe(expected);
});

/** Finite halves in ascending order. */
const grid = Array.from({ length: 0x7c00 }, (_, pattern) => fromHalf(pattern));

test('the nearest of all halves, ties to the even pattern', () => {
  fc.assert(
    fc.property(fc.float({ min: 0, max: 65000, noNaN: true }), (value) => {
      const above = grid.findIndex((half) => half >= value);
      const below = Math.max(0, above - 1);
      const [down, up] = [value - grid[below]!, grid[above]! - value];
      const expected = down < up || (down === up && below % 2 === 0) ? below : above;
      expect(fromHalf(toHalf(value))).toBe(grid[expected]);
      expect(fromHalf(toHalf(-value))).toBe(-grid[expected]!);
    }),
  );
});
