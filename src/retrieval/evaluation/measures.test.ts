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

  // What trec_eval (by pytrec_eval) makes of these runs and judgements: ndcg_cut_10, recall_5, recall_20, recip_rank.
  test.each<[string, Record<string, number>, number, number, number, number]>([
    [
      'd5 d27 d24 d12 d29 d28 d2 d4 d19 d21 d14 d22 d18',
      { d8: 1, d23: 0, d11: 1, d25: 2, d22: 1, d28: 2, d20: 3, d16: 0, d0: 3, d14: 1, d7: 0, d1: 1, d13: 2 },
      0.07809036703650632,
      0.0,
      0.3,
      0.16666666666666666,
    ],
    [
      'd6 d17 d21 d20 d29 d5 d22 d25 d12 d9 d0 d11 d13 d24 d4',
      { d27: 1, d0: 1, d6: 1, d9: 2 },
      0.44309491688511493,
      0.25,
      0.75,
      1.0,
    ],
    [
      'd5 d15 d28 d22 d29 d1 d8 d0 d11 d12 d26 d17 d13 d21 d20',
      { d2: 3, d10: 1, d9: 0, d26: 1, d19: 1, d18: 1, d0: 2, d22: 2 },
      0.22046069372288518,
      0.14285714285714285,
      0.42857142857142855,
      0.25,
    ],
  ])('as trec_eval: %s', (run, judged, ndcg10, recall5, recall20, rank) => {
    const ids = run.split(' ');
    const own = new Map(Object.entries(judged).filter(([, grade]) => grade > 0));
    expect(ndcg(ids, own, 10)).toBeCloseTo(ndcg10, 12);
    expect([recall(ids, own, 5), recall(ids, own, 20)]).toEqual([recall5, recall20]);
    expect(reciprocalRank(ids, own, 1000)).toBeCloseTo(rank, 12);
  });
});
