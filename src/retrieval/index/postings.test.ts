import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BLOCK, frequencyOf, type IndexArrays } from './arrays.ts';
import { computeImpacts, roundDown, roundUp, saturations } from './impacts.ts';
import { indexTexts } from './in-memory.ts';

const split = (text: string) => text.split(' ').filter((word) => word !== '');
const word = fc.constantFrom('a', 'b', 'c', 'd', 'ee', 'often '.repeat(130));
const texts = fc.array(
  fc.array(word, { maxLength: 8 }).map((words) => words.join(' ')),
  { minLength: 1, maxLength: 200 },
);

test('postings are what counting by hand gives', () => {
  fc.assert(
    fc.property(texts, (corpus) => {
      const arrays = indexTexts(corpus, split, 'exact');
      const counts = new Map<string, [position: number, tf: number][]>();
      for (const [position, text] of corpus.entries())
        for (const term of new Set(split(text))) {
          const tf = split(text).filter((other) => other === term).length;
          counts.set(term, [...(counts.get(term) ?? []), [position, tf]]);
        }
      const expected = [...counts].sort(([x], [y]) => (x < y ? -1 : 1)).map(([, postings]) => postings);
      expect(postingsOf(arrays)).toEqual(expected);
      expect(arrays.totalTerms).toBe(corpus.reduce((sum, text) => sum + split(text).length, 0));
    }),
  );
});

function postingsOf(arrays: IndexArrays): [position: number, tf: number][][] {
  const { postingStarts, positions } = arrays;
  return Array.from({ length: postingStarts.length - 1 }, (_, t) =>
    Array.from(positions.subarray(postingStarts[t]!, postingStarts[t + 1]!), (position, i) => [
      position,
      frequencyOf(arrays, postingStarts[t]! + i),
    ]),
  );
}

test('impacts bound what they are said to bound, closely', () => {
  fc.assert(
    fc.property(
      texts,
      fc.double({ min: 0, max: 3, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.constantFrom('lucene' as const, 'exact' as const),
      (corpus, k1, b, length) => {
        const arrays = indexTexts(corpus, split, length);
        const impacts = computeImpacts(arrays, k1, b);
        const K = saturations(arrays, k1, b);
        const expected = postingsOf(arrays).map((postings) =>
          postings.map(([position, tf]) => tf / (tf + K[arrays.lengthCodes[position]!]!)),
        );
        const maxima = expected.flatMap((values) =>
          Array.from({ length: Math.ceil(values.length / BLOCK) }, (_, i) =>
            Math.max(...values.slice(i * BLOCK, (i + 1) * BLOCK)),
          ),
        );
        expect([...impacts.blockMaxima]).toEqual(maxima.map(roundUp));
        const ranked = (rank: number) =>
          expected.map((values) => roundDown(values.sort((x, y) => y - x)[rank - 1] ?? 0));
        expect([...impacts.thirdBest]).toEqual(ranked(3));
        expect([...impacts.tenthBest]).toEqual(ranked(10));
      },
    ),
  );
});

test('rounding to float32 goes the right way, by less than one step', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (x) => {
      expect(roundUp(x)).toBeGreaterThanOrEqual(x);
      expect(roundDown(x)).toBeLessThanOrEqual(x);
      expect([roundUp(x), roundDown(x)]).toContain(Math.fround(x));
    }),
  );
});
