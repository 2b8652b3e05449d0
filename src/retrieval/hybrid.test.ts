import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Bm25Index } from './bm25.ts';
import { fuse, HybridRetriever } from './hybrid.ts';
import type { Hit, OpenRetriever, Passage } from './retriever.ts';

const passage = (id: string): Passage => ({ id, title: '', text: `text of ${id}` });
const ranking = (...ids: string[]): Hit[] => ids.map((id, i) => ({ passage: passage(id), score: 100 - i }));

describe('fusion', () => {
  test('by hand', () => {
    const fused = fuse([ranking('a', 'b', 'c'), ranking('c', 'd')], 10);
    expect(fused.map(({ passage: { id } }) => id)).toEqual(['c', 'a', 'b', 'd']);
    expect(fused.map(({ score }) => score)).toEqual([1 / 63 + 1 / 61, 1 / 61, 1 / 62, 1 / 62]);
    expect(fuse([ranking('a', 'b', 'c'), ranking('c', 'd')], 2)).toEqual(fused.slice(0, 2));
    expect(fuse([[], []], 3)).toEqual([]);
  });

  test('is the sum over both rankings for every passage, ordered by score and id, whichever leg comes first', () => {
    const ids = fc.uniqueArray(fc.constantFrom(...'abcdefghij'), { maxLength: 10 });
    fc.assert(
      fc.property(ids, ids, fc.integer({ min: 1, max: 12 }), (first, second, k) => {
        const scored = [...new Set([...first, ...second])].map((id) => {
          const part = (leg: string[]) => (leg.includes(id) ? 1 / (60 + leg.indexOf(id) + 1) : 0);
          return { id, score: part(first) + part(second) };
        });
        const expected = scored.sort((a, b) => b.score - a.score || a.id.localeCompare(b.id)).slice(0, k);
        for (const legs of [
          [first, second],
          [second, first],
        ]) {
          const fused = fuse(
            legs.map((leg) => ranking(...leg)),
            k,
          );
          expect(fused.map(({ passage: { id }, score }) => ({ id, score }))).toEqual(expected);
        }
      }),
    );
  });
});

describe('as a retriever', () => {
  const corpus = ['oslo fjord', 'paris seine', 'oslo oslo seine'].map((text, i) => ({ id: `p${i}`, title: '', text }));
  const asked: number[] = [];
  let closed = 0;
  const watched = (index: Bm25Index): OpenRetriever => ({
    info: index.info,
    close: async () => {
      closed += 1;
    },
    search: (queries, k, signal) => {
      asked.push(k);
      return index.search(queries, k, signal);
    },
  });
  const [one, two] = [new Bm25Index(corpus), new Bm25Index(corpus, { k1: 2, b: 1 })];

  test('asks 100 of each leg, more when more are wanted, and fuses query by query', async () => {
    const hybrid = new HybridRetriever(watched(one), watched(two));
    const queries = ['oslo', 'seine paris', 'zebra'];
    const hits = await hybrid.search(queries, 2);
    for (const [i, query] of queries.entries())
      expect(hits[i]).toEqual(fuse([one.searchNow(query, 100), two.searchNow(query, 100)], 2));
    await hybrid.search(['oslo'], 150);
    expect(asked).toEqual([100, 100, 150, 150]);
    expect(hybrid.info).toMatchObject({
      kind: 'hybrid',
      passages: 3,
      corpusHash: one.info.corpusHash,
      settings: { depth: 100, leg1: 'bm25', 'leg1.k1': 0.9, leg2: 'bm25', 'leg2.k1': 2 },
    });
    await hybrid.close();
    expect(closed).toBe(2);
  });

  test('fails when a leg fails', async () => {
    const broken: OpenRetriever = { ...watched(one), search: () => Promise.reject(new Error('broken')) };
    await expect(new HybridRetriever(one, broken).search(['oslo'], 1)).rejects.toThrow('broken');
    const aborted = new HybridRetriever(one, two).search(['oslo'], 1, AbortSignal.abort(new Error('enough')));
    await expect(aborted).rejects.toThrow('enough');
  });

  test('legs over different or unknown corpora are refused', () => {
    expect(() => new HybridRetriever(one, new Bm25Index(corpus.slice(1)))).toThrow('over the same corpus');
    const unknown: OpenRetriever = { ...watched(one), info: { ...one.info, corpusHash: '' } };
    expect(() => new HybridRetriever(unknown, unknown)).toThrow('corpus unknown');
  });
});
