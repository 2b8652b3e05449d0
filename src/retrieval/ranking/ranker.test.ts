import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LengthForm } from '../index/arrays.ts';
import { computeImpacts } from '../index/impacts.ts';
import { indexTexts } from '../index/in-memory.ts';
import { Exhaustive } from './exhaustive.ts';
import { createFormula } from './formula.ts';
import { MaxScore } from './max-score.ts';
import { plainSearch } from './plain.testing.ts';
import { Ranker } from './ranker.ts';
import { type Ranked, Top } from './top.ts';

const split = (text: string) => text.split(' ').filter((word) => word !== '');
const hits = ({ positions, scores }: Ranked) =>
  Array.from(positions, (position, i) => ({ position, score: scores[i]! }));

/** All the ways to rank: each with its own list. */
function rankAll(
  texts: readonly string[],
  query: string,
  k: number,
  k1: number,
  b: number,
  length: LengthForm,
  window?: number,
) {
  const arrays = indexTexts(texts, split, length);
  const formula = createFormula(arrays, k1, b);
  const impacts = computeImpacts(arrays, k1, b);
  const ranker = new Ranker(arrays, { k1, b }, impacts);
  const terms = ranker.queryTerms(split(query));
  const [exhaustive, skipping] = [new Exhaustive(arrays, formula), new MaxScore(arrays, impacts, formula, window)];
  const run = (search: (top: Top) => void) => {
    const top = new Top(k);
    search(top);
    return hits(top.take());
  };
  return {
    ranker: hits(ranker.rank(terms, k)),
    exhaustive: run((top) => exhaustive.search(terms, top)),
    maxScore: run((top) => skipping.search(terms, k, top)),
    // Working memory is left clean for the next search.
    again: run((top) => skipping.search(terms, k, top)),
  };
}

describe('MaxScore, exhaustive search and the definition give one list, to the bit', () => {
  const vocabulary = ['a', 'b', 'c', 'd', 'rare', 'e', 'f'];
  const word = fc.oneof({ weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c') }, fc.constantFrom(...vocabulary));
  const document = fc.oneof(
    { weight: 12, arbitrary: fc.array(word, { maxLength: 14 }) },
    // Long ones, whose length Lucene rounds, and frequencies beyond a byte.
    fc.tuple(fc.integer({ min: 30, max: 700 }), word).map(([n, w]) => Array<string>(n).fill(w)),
  );
  const settings = {
    documents: fc.array(document, { minLength: 1, maxLength: 60 }),
    query: fc.array(fc.oneof(word, fc.constant('unknown')), { maxLength: 9 }),
    k: fc.integer({ min: 1, max: 15 }),
    k1: fc.oneof(fc.constantFrom(0, 0.9, 1.2, 1e6), fc.double({ min: 0, max: 3, noNaN: true })),
    b: fc.oneof(fc.constantFrom(0, 0.4, 1), fc.double({ min: 0, max: 1, noNaN: true })),
  };

  test.each(['lucene', 'exact'] as const)('length %s', (length) => {
    fc.assert(
      fc.property(fc.record(settings), fc.constantFrom(4, 16, 1 << 15), ({ documents, query, k, k1, b }, window) => {
        const expected = plainSearch(documents, query, { k, k1, b, length });
        const lists = rankAll(
          documents.map((d) => d.join(' ')),
          query.join(' '),
          k,
          k1,
          b,
          length,
          window,
        );
        for (const list of Object.values(lists)) expect(list).toEqual(expected);
      }),
      { numRuns: 250 },
    );
  });

  test.each(['lucene', 'exact'] as const)('length %s, many blocks of postings and many ties', (length) => {
    const document = fc.array(fc.constantFrom('a', 'a', 'a', 'b', 'b', 'c', 'rare'), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        fc.array(document, { minLength: 700, maxLength: 900 }),
        fc.constantFrom(1, 3, 10, 30),
        (documents, k) => {
          const texts = documents.map((d) => d.join(' '));
          for (const query of ['a', 'rare', 'a b', 'c rare a', 'b b c']) {
            const { exhaustive, maxScore } = rankAll(texts, query, k, 0.9, 0.4, length, 64);
            expect(maxScore).toEqual(exhaustive);
          }
          expect(rankAll(texts, 'c rare a', k, 0.9, 0.4, length, 64).maxScore).toEqual(
            plainSearch(documents, ['c', 'rare', 'a'], { k, k1: 0.9, b: 0.4, length }),
          );
        },
      ),
      { numRuns: 4 },
    );
  });

  test('skipping happens: most passages of a frequent word are never offered', () => {
    const texts = Array.from({ length: 4000 }, (_, i) =>
      i % 400 === 7 ? 'rare common' : i % 3 ? 'common' : 'x common',
    );
    const arrays = indexTexts(texts, split, 'lucene');
    let offered = 0;
    class Counting extends Top {
      override offer(position: number, score: number): void {
        offered += 1;
        super.offer(position, score);
      }
    }
    const impacts = computeImpacts(arrays, 0.9, 0.4);
    const terms = new Ranker(arrays, { k1: 0.9, b: 0.4 }).queryTerms(['common', 'rare']);
    new MaxScore(arrays, impacts, createFormula(arrays, 0.9, 0.4)).search(terms, 3, new Counting(3));
    expect(offered).toBeLessThan(20);
  });
});

describe('settings and bad input', () => {
  const arrays = indexTexts(['a b', 'b'], split, 'lucene');

  test('what cannot be is refused', () => {
    expect(() => new Ranker(arrays, { k1: -1, b: 0 })).toThrow('k1');
    expect(() => new Ranker(arrays, { k1: Number.POSITIVE_INFINITY, b: 0 })).toThrow('k1');
    expect(() => new Ranker(arrays, { k1: 1, b: Number.NaN })).toThrow('b must');
    expect(() => new Ranker(arrays, { k1: 1, b: 0.5 }, computeImpacts(arrays, 1, 0.4))).toThrow('impacts are those of');
    expect(() => new Ranker(arrays, { k1: 1, b: 0.5 }).rank([], 0)).toThrow(RangeError);
  });

  test('more passages than there are', () => {
    const ranker = new Ranker(arrays, { k1: 1, b: 0.5 });
    expect(hits(ranker.rank(ranker.queryTerms(['b']), 1000))).toHaveLength(2);
  });
});

test('the best, whatever the order of offers', () => {
  const offers = fc.array(fc.tuple(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 5 })), {
    maxLength: 300,
  });
  fc.assert(
    fc.property(offers, fc.integer({ min: 1, max: 150 }), (all, k) => {
      const top = new Top(k);
      for (const [position, score] of all) top.offer(position, score);
      const sorted = [...all].sort(([p, s], [q, t]) => t - s || p - q).slice(0, k);
      expect(hits(top.take())).toEqual(sorted.map(([position, score]) => ({ position, score })));
    }),
  );
});
