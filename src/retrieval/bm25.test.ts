import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAnalyzer } from './analyzer.ts';
import { Bm25Index } from './bm25.ts';
import { corpusHash } from './corpus.ts';
import type { Passage } from './retriever.ts';

function passages(...texts: string[]): Passage[] {
  return texts.map((text, i) => ({ id: `p${i}`, title: '', text }));
}

/** BM25 straight from its definition. */
function plainSearch(corpus: readonly Passage[], query: string, k: number, k1: number, b: number) {
  const documents = corpus.map(({ title, text }) => createAnalyzer('words')(`${title} ${text}`));
  const averageLength = documents.reduce((sum, document) => sum + document.length, 0) / documents.length;
  const count = (document: string[], term: string) => document.filter((other) => other === term).length;
  const terms = createAnalyzer('words')(query).sort();
  const scored = documents.map((document, position) => {
    let score = 0;
    for (const term of terms) {
      const df = documents.filter((other) => other.includes(term)).length;
      const idf = Math.log(1 + (documents.length - df + 0.5) / (df + 0.5));
      const tf = count(document, term);
      if (tf > 0) score += (idf * tf) / (tf + k1 * (1 - b + (b * document.length) / averageLength));
    }
    return { position, score };
  });
  return scored
    .filter(({ score }) => score > 0)
    .sort((x, y) => y.score - x.score || x.position - y.position)
    .slice(0, k)
    .map(({ position, score }) => ({ passage: corpus[position]!, score }));
}

describe('against the definition', () => {
  const text = fc.array(fc.constantFrom('red', 'blue', 'green', 'one', 'two', 'x'), { maxLength: 12 });
  const corpus = fc.array(fc.record({ title: text, text }), { minLength: 1, maxLength: 30 });

  test('the same passages, order and scores on random corpora', () => {
    fc.assert(
      fc.property(
        corpus,
        text,
        fc.integer({ min: 1, max: 12 }),
        fc.double({ min: 0, max: 3, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (drafts, words, k, k1, b) => {
          const all = drafts.map((draft, i) => ({
            id: `p${i}`,
            title: draft.title.join(' '),
            text: draft.text.join(' '),
          }));
          const query = [...words, 'unknown'].join(' ');
          const index = new Bm25Index(all, { analyzer: 'words', k1, b });
          const expected = plainSearch(all, query, k, k1, b);
          expect(index.searchNow(query, k)).toEqual(expected);
          // The scores are left clean for the next search.
          expect(index.searchNow(query, k)).toEqual(expected);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('by hand', () => {
  test('one term in one of two passages of equal length', () => {
    const [hit, ...rest] = new Bm25Index(passages('oslo fjord', 'paris seine')).searchNow('Oslo', 3);
    // idf = ln(1 + 1.5/1.5) = ln 2; tf / (tf + k1) = 1 / 1.9
    expect(hit!.score).toBeCloseTo(Math.LN2 / 1.9, 12);
    expect(hit!.passage.id).toBe('p0');
    expect(rest).toEqual([]);
  });

  test('a word that stands twice in the query counts twice', () => {
    const index = new Bm25Index(passages('oslo fjord', 'paris seine'));
    expect(index.searchNow('oslo oslo', 1)[0]!.score).toBeCloseTo(2 * index.searchNow('oslo', 1)[0]!.score, 12);
  });

  test('ties go by position in the corpus', () => {
    const index = new Bm25Index(passages('x', 'a b', 'b a', 'a b', 'a b'), { analyzer: 'words' });
    expect(index.searchNow('b a', 3).map((hit) => hit.passage.id)).toEqual(['p1', 'p2', 'p3']);
  });

  test('the title is searched too', () => {
    const index = new Bm25Index([{ id: 'p', title: 'Oslo', text: 'A capital.' }]);
    expect(index.searchNow('oslo', 1)).toHaveLength(1);
  });

  test('names that resemble English words are stemmed by one analyzer and kept by the other', () => {
    const corpus = passages('Runnings', 'Running');
    expect(new Bm25Index(corpus, { analyzer: 'english' }).searchNow('runs', 5)).toHaveLength(2);
    expect(new Bm25Index(corpus, { analyzer: 'words' }).searchNow('running', 5)).toHaveLength(1);
  });

  test('nothing matches: nothing comes back', () => {
    const index = new Bm25Index(passages('a b', 'c'));
    expect(index.searchNow('', 3)).toEqual([]);
    expect(index.searchNow('the of', 3)).toEqual([]);
    expect(index.searchNow('zebra', 3)).toEqual([]);
  });

  test('passages without any term are never found and do no harm', () => {
    expect(new Bm25Index(passages('?!', '--')).searchNow('zebra', 3)).toEqual([]);
    expect(new Bm25Index(passages('?!', 'zebra')).searchNow('zebra', 3)).toHaveLength(1);
  });
});

describe('as a retriever', () => {
  const corpus = passages('oslo fjord', 'paris seine', 'rome tiber');
  const index = new Bm25Index(corpus);

  test('info says what a score depends on', () => {
    expect(index.info).toEqual({
      kind: 'bm25',
      passages: 3,
      corpusHash: corpusHash(corpus),
      settings: { analyzer: 'english', k1: 0.9, b: 0.4, length: 'exact' },
    });
  });

  test('a batch is its queries one by one, longer than one turn of the event loop too', async () => {
    const queries = Array.from({ length: 100 }, (_, i) => ['oslo', 'seine rome', 'zebra'][i % 3]!);
    expect(await index.search(queries, 2)).toEqual(queries.map((query) => index.searchNow(query, 2)));
    expect(await index.search([], 2)).toEqual([]);
  });

  test('searches at the same time do not disturb one another', async () => {
    const batches = ['oslo fjord', 'seine', 'rome oslo'].map((query) => Array.from({ length: 80 }, () => query));
    const results = await Promise.all(batches.map((queries) => index.search(queries, 3)));
    expect(results).toEqual(batches.map((queries) => queries.map((query) => index.searchNow(query, 3))));
  });

  test('an aborted search rejects, before it began and midway', async () => {
    await expect(index.search(['oslo'], 1, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    const controller = new AbortController();
    const search = index.search(
      // More than one slice of time has room for, whatever the machine.
      Array.from({ length: 50_000 }, (_, i) => `oslo ${i}`),
      1,
      controller.signal,
    );
    controller.abort(new Error('enough'));
    await expect(search).rejects.toThrow('enough');
  });

  test.each([0, -1, 1.5, Number.NaN])('k = %s is refused', async (k) => {
    expect(() => index.searchNow('oslo', k)).toThrow(RangeError);
    await expect(index.search(['oslo'], k)).rejects.toThrow(RangeError);
  });

  test('impossible settings and an empty corpus are refused', () => {
    expect(() => new Bm25Index([])).toThrow(RangeError);
    expect(() => new Bm25Index(corpus, { k1: -1 })).toThrow('k1');
    expect(() => new Bm25Index(corpus, { b: 1.1 })).toThrow('b must');
    expect(() => new Bm25Index(corpus, { b: Number.NaN })).toThrow('b must');
  });
});
