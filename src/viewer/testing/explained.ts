/** Holds what the page is given against where it comes from: a number that nothing accounts for is a fault like a wrong one. */
import { expect } from 'vitest';

/** Not the digit of a name such as F1 or E1. */
const NUMBER = /(?<![a-z\d])\d+(?:[.,:]\d+)*/gi;

/** Of a sentence: the numbers in it, in their order. Its words are not asked. */
export class Holding {
  readonly numbers: readonly string[];
  constructor(numbers: readonly (string | number)[]) {
    this.numbers = numbers.map(String);
  }
}
export const holding = (...numbers: readonly (string | number)[]) => new Holding(numbers);

/**
 * Every number of `shown`, and every text in which one stands, has to be at the same path of `expected`, and the other way round;
 * texts without numbers need not be.
 */
export function expectExplained(shown: unknown, expected: unknown, what: string): void {
  expect(faultsOf(shown, expected, what).slice(0, 20)).toEqual([]);
}

function faultsOf(shown: unknown, expected: unknown, path: string): string[] {
  if (expected instanceof Holding) {
    const numbers = typeof shown === 'string' ? (shown.match(NUMBER) ?? []) : undefined;
    return JSON.stringify(numbers) === JSON.stringify(expected.numbers)
      ? []
      : [`${path}: ${JSON.stringify(shown)} does not hold ${expected.numbers.join(', ')}`];
  }
  if (isObject(shown) && (expected === undefined || isObject(expected))) {
    if (Array.isArray(shown) && Array.isArray(expected) && shown.length !== expected.length)
      return [`${path}: ${shown.length} are shown, ${expected.length} expected`];
    const names = new Set([...Object.keys(shown), ...Object.keys(expected ?? {})]);
    return [...names].flatMap((name) => faultsOf(shown[name], expected?.[name], `${path}.${name}`));
  }
  if (expected === undefined) {
    const isFigure = typeof shown === 'number' || (typeof shown === 'string' && shown.search(NUMBER) >= 0);
    return isFigure ? [`${path}: where does ${JSON.stringify(shown)} come from?`] : [];
  }
  return isSame(shown, expected) ? [] : [`${path}: ${JSON.stringify(shown)}, expected ${JSON.stringify(expected)}`];
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** Sums may be taken in another order. */
function isSame(shown: unknown, expected: unknown): boolean {
  if (typeof shown !== 'number' || typeof expected !== 'number') return shown === expected;
  return Math.abs(shown - expected) <= 1e-12 * Math.abs(expected);
}
