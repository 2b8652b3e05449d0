import { expect, it } from 'vitest';
import { criticalT, twoSidedP } from './student-t.ts';

// Printed tables (Fisher & Yates, 1938): two-sided 95 % and 99 %.
it.each([
  [1, 12.706, 63.657],
  [2, 4.303, 9.925],
  [3, 3.182, 5.841],
  [4, 2.776, 4.604],
  [5, 2.571, 4.032],
  [9, 2.262, 3.25],
  [10, 2.228, 3.169],
  [23, 2.069, 2.807],
  [30, 2.042, 2.75],
  [120, 1.98, 2.617],
])('the critical values at %i degrees are those of the tables', (degrees, at95, at99) => {
  expect(criticalT(0.95, degrees)).toBeCloseTo(at95, 3);
  expect(criticalT(0.99, degrees)).toBeCloseTo(at99, 3);
});

it('agrees with the closed forms at 1, 2 and 3 degrees', () => {
  for (const t of [0, 1e-6, 0.3, 1, 2.5, 40, 1e5]) {
    expect(twoSidedP(t, 1)).toBeCloseTo(1 - (2 / Math.PI) * Math.atan(t), 13);
    expect(twoSidedP(t, 2)).toBeCloseTo(1 - t / Math.sqrt(2 + t * t), 13);
    const third = (2 / Math.PI) * (Math.atan(t / Math.sqrt(3)) + t / Math.sqrt(3) / (1 + (t * t) / 3));
    expect(twoSidedP(t, 3)).toBeCloseTo(1 - third, 13);
  }
});

it('is even, falls with t, and tends to the normal distribution', () => {
  for (const degrees of [1, 4, 9, 500]) {
    expect(twoSidedP(-1.3, degrees)).toBe(twoSidedP(1.3, degrees));
    const falling = [0, 0.1, 0.5, 1, 2, 4, 8, 16].map((t) => twoSidedP(t, degrees));
    for (let i = 1; i < falling.length; i++) expect(falling[i]!).toBeLessThan(falling[i - 1]!);
    expect(falling[0]).toBe(1);
  }
  expect(criticalT(0.95, 1_000_000)).toBeCloseTo(1.959964, 5);
  expect(twoSidedP(Number.POSITIVE_INFINITY, 3)).toBe(0);
  expect(twoSidedP(Number.NaN, 3)).toBeNaN();
});
