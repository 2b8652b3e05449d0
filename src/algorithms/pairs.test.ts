import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { differenceOf, editDistance, findExpert, jaccard, minePair } from './pairs.ts';
import { makeTrajectory } from './trajectory.testing.ts';

describe('minePair', () => {
  const two = ['film author', 'author spouse'];

  it('takes the correct trajectory with the fewest searches as expert and a wrong sibling as student', () => {
    const wasteful = makeTrajectory({ rollout: 0, queries: [...two, 'again'] });
    const efficient = makeTrajectory({ rollout: 1, queries: two });
    const near = makeTrajectory({ rollout: 2, queries: ['film author', 'author mayor'], correct: 0 });
    const far = makeTrajectory({ rollout: 3, queries: ['x', 'y', 'z', 'w'], correct: 0 });
    expect(minePair([wasteful, efficient, near, far])).toEqual({ expert: efficient, student: far });
  });

  it('falls back to the correct sibling most different from the expert', () => {
    const expert = makeTrajectory({ rollout: 0, queries: ['a'] });
    const same = makeTrajectory({ rollout: 1, queries: ['a'] });
    const longer = makeTrajectory({ rollout: 2, queries: ['a', 'b'] });
    expect(minePair([expert, same, longer])?.student).toBe(longer);
  });

  it('takes wrong students alone, or right ones alone, where told', () => {
    const expert = makeTrajectory({ rollout: 0, queries: ['a'] });
    const longer = makeTrajectory({ rollout: 1, queries: ['a', 'b'] });
    const wrong = makeTrajectory({ rollout: 2, queries: ['c', 'd', 'e'], correct: 0 });
    expect(minePair([expert, longer, wrong], 0, 'right')?.student).toBe(longer);
    expect(minePair([expert, longer, wrong], 0, 'wrong')?.student).toBe(wrong);
    expect(minePair([expert, longer], 0, 'wrong')).toBeUndefined();
    expect(minePair([expert, wrong], 0, 'right')).toBeUndefined();
  });

  it('gives no pair without a correct trajectory, or without one that differs', () => {
    expect(minePair([makeTrajectory({ correct: 0 }), makeTrajectory({ correct: 0, rollout: 1 })])).toBeUndefined();
    // Nothing is right, however much it is worth.
    const worth = (rollout: number) => makeTrajectory({ correct: 0, reward: 1, rollout, queries: [`${rollout}`] });
    expect(minePair([worth(0), worth(1)])).toBeUndefined();
    expect(minePair([makeTrajectory(), makeTrajectory({ rollout: 1 })])).toBeUndefined();
    expect(minePair([])).toBeUndefined();
  });

  it('breaks ties by policy tokens, then by index', () => {
    const long = makeTrajectory({ rollout: 0, ids: [5, 6, 7, 8, 9] });
    const short = makeTrajectory({ rollout: 1, ids: [5, 6, 7] });
    const twin = makeTrajectory({ rollout: 2, ids: [5, 6, 7] });
    expect(findExpert([twin, long, short])).toBe(short);
  });

  it('refuses experts that are malformed, failed or searched too little, and failed students', () => {
    const malformed = makeTrajectory({ rollout: 0, queries: [], wellFormed: false });
    const guess = makeTrajectory({ rollout: 1, queries: [] });
    const good = makeTrajectory({ rollout: 2 });
    const failed = makeTrajectory({ rollout: 3, stop: 'deadline', correct: 0 });
    expect(findExpert([malformed, guess, good])).toBe(guess);
    expect(findExpert([malformed, guess, good], 1)).toBe(good);
    expect(minePair([good, failed])).toBeUndefined();
  });
});

describe('differences', () => {
  it('count searches, then query terms, then policy tokens (environment tokens do not count)', () => {
    const a = makeTrajectory({ queries: ['x y'], ids: [1, 2, 3, 4], mask: [1, 0, 1, 1] });
    const b = makeTrajectory({ queries: ['y z', 'q'], ids: [1, 9, 9, 3, 5], mask: [1, 0, 0, 1, 1] });
    expect(differenceOf(a, b)).toEqual([1, 1 - 1 / 4, 1 / 3]);
  });

  it('jaccard of empty sets is 1', () => {
    expect(jaccard(new Set(), new Set())).toBe(1);
    expect(jaccard(new Set(['a']), new Set())).toBe(0);
  });

  it('edit distance agrees with a plain recursive definition', () => {
    const plain = (a: readonly number[], b: readonly number[]): number => {
      if (a.length === 0 || b.length === 0) return a.length + b.length;
      const [x, y] = [a.slice(1), b.slice(1)];
      return a[0] === b[0] ? plain(x, y) : 1 + Math.min(plain(x, b), plain(a, y), plain(x, y));
    };
    const list = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 6 });
    fc.assert(
      fc.property(list, list, (a, b) => {
        expect(editDistance(a, b)).toBeCloseTo(plain(a, b) / Math.max(1, a.length, b.length), 12);
      }),
    );
  });
});
