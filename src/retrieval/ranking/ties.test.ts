import fc from 'fast-check';
import { expect, test } from 'vitest';
import { computeImpacts } from '../index/impacts.ts';
import { indexTexts } from '../index/in-memory.ts';
import { Exhaustive } from './exhaustive.ts';
import { createFormula } from './formula.ts';
import { MaxScore } from './max-score.ts';
import { plainSearch } from './plain.testing.ts';
import { Ranker } from './ranker.ts';
import { idOrder } from './ties.ts';
import { type Ranked, Top } from './top.ts';

test('ids in the order of the bytes of their UTF-8, as Lucene sorts terms', () => {
  const ids = ['2', '10', '1', 'b', 'B', 'é', 'z', '\uffee', '\u{10000}', '', 'doc10', 'doc9', '0'];
  const order = idOrder(ids);
  const sorted = [...ids.keys()].sort((x, y) => order[x]! - order[y]!).map((i) => ids[i]);
  // LC_ALL=C sort
  expect(sorted).toEqual(['', '0', '1', '10', '2', 'B', 'b', 'doc10', 'doc9', 'z', 'é', '\uffee', '\u{10000}']);
});

test('among equal scores any order is kept, whatever is skipped', () => {
  const word = fc.constantFrom('a', 'b');
  // Few forms of documents, so that most scores are ties.
  const documents = fc.array(fc.array(word, { maxLength: 2 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(
      documents,
      fc.array(word, { maxLength: 3 }),
      fc.integer({ min: 1, max: 15 }),
      fc.nat(),
      (docs, query, k, shift) => {
        const order = idOrder(docs.map((_, i) => String((i * 7 + shift) % 61)));
        const arrays = indexTexts(
          docs.map((terms) => terms.join(' ')),
          (text) => text.split(' ').filter(Boolean),
          'lucene',
        );
        const [formula, impacts] = [createFormula(arrays, 0.9, 0.4), computeImpacts(arrays, 0.9, 0.4)];
        const ranker = new Ranker(arrays, { k1: 0.9, b: 0.4, order }, impacts);
        const terms = ranker.queryTerms(query);
        const expected = plainSearch(docs, query, { k: docs.length, k1: 0.9, b: 0.4, length: 'lucene' })
          .sort((x, y) => y.score - x.score || order[x.position]! - order[y.position]!)
          .slice(0, k)
          .map(({ position }) => position);
        const positions = ({ positions }: Ranked) => [...positions];
        const run = (search: (top: Top) => void) => {
          const top = new Top(k, order);
          search(top);
          return positions(top.take());
        };
        expect(positions(ranker.rank(terms, k))).toEqual(expected);
        expect(run((top) => new Exhaustive(arrays, formula).search(terms, top))).toEqual(expected);
        expect(run((top) => new MaxScore(arrays, impacts, formula, 8).search(terms, k, top))).toEqual(expected);
      },
    ),
  );
});
