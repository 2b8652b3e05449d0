import { describe, expect, test } from 'vitest';
import { ndcg, recall, reciprocalRank } from './measures.ts';

/** The worked example of Wikipedia's article on discounted cumulative gain: grades 3 2 3 0 1 2, and a 3 and a 2 that were missed. */
const grades = new Map([
  ['d1', 3],
  ['d2', 2],
  ['d3', 3],
  ['d5', 1],
  ['d6', 2],
  ['d7', 3],
  ['d8', 2],
]);
const ids = ['d1', 'd2', 'd3', 'd4', 'd5', 'd6'];

describe('measures', () => {
  test('nDCG, by hand and as published', () => {
    // DCG@6 6.861, the best possible 8.740
    expect(ndcg(ids, grades, 6)).toBeCloseTo(0.785, 3);
    // (3 + 2 / log2 3) / (3 + 3 / log2 3)
    expect(ndcg(ids, grades, 2)).toBeCloseTo((3 + 2 / Math.log2(3)) / (3 + 3 / Math.log2(3)), 12);
    expect(ndcg(['x'], grades, 10)).toBe(0);
    expect(ndcg(['d1', 'd3', 'd7', 'd2', 'd6', 'd8', 'd5'], grades, 10)).toBeCloseTo(1, 12);
  });

  test('recall counts what is missing, and no further than k', () => {
    expect(recall(ids, grades, 6)).toBeCloseTo(5 / 7, 12);
    expect(recall(ids, grades, 2)).toBeCloseTo(2 / 7, 12);
    expect(recall([], grades, 5)).toBe(0);
  });

  test('reciprocal rank of the first relevant passage', () => {
    expect(reciprocalRank(['x', 'y', 'd5', 'd1'], grades, 10)).toBeCloseTo(1 / 3, 12);
    expect(reciprocalRank(['x', 'y', 'd5'], grades, 2)).toBe(0);
  });
});
