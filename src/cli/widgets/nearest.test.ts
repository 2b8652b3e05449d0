import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editDistance, nearestPath } from './nearest.ts';

/** The recursion as it is written down, without a table. */
function slow(a: string, b: string): number {
  if (a === '' || b === '') return a.length + b.length;
  const [x, y] = [a.slice(0, -1), b.slice(0, -1)];
  const swapped = a.length > 1 && b.length > 1 && a.at(-1) === b.at(-2) && a.at(-2) === b.at(-1);
  return Math.min(
    slow(x, b) + 1,
    slow(a, y) + 1,
    slow(x, y) + (a.at(-1) === b.at(-1) ? 0 : 1),
    swapped ? slow(a.slice(0, -2), b.slice(0, -2)) + 1 : Number.POSITIVE_INFINITY,
  );
}

describe('edit distance', () => {
  it('agrees with the recursion', () => {
    const word = fc.string({ maxLength: 6, unit: fc.constantFrom('a', 'b', 'c') });
    fc.assert(fc.property(word, word, (a, b) => editDistance(a, b) === slow(a, b)));
  });

  it('counts a swap of neighbours once', () => {
    expect(editDistance('steps', 'stpes')).toBe(1);
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('', 'abc')).toBe(3);
  });
});

describe('the nearest setting', () => {
  const known = ['seed', 'grpo', 'grpo.learningRate', 'grpo.groupSize', 'distill.learningRate', 'rollout.searches'];
  it('is found through typing errors, other spellings and missing prefixes', () => {
    expect(nearestPath('grpo.lerningRate', known)).toBe('grpo.learningRate');
    expect(nearestPath('distill.learning_rate', known)).toBe('distill.learningRate');
    expect(nearestPath('group-size', known)).toBe('grpo.groupSize');
    expect(nearestPath('rollouts.searches', known)).toBe('rollout.searches');
    expect(nearestPath('sed', known)).toBe('seed');
  });
  it('is not made up', () => {
    expect(nearestPath('zebra', known)).toBeUndefined();
    expect(nearestPath('x', [])).toBeUndefined();
  });
});
