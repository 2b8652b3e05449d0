import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bm25Index } from './bm25.ts';
import { loadCorpus } from './corpus.ts';
import { DiskBm25 } from './disk-bm25.ts';
import { buildIndex } from './index/build.ts';
import { loadIndex } from './index/load.ts';
import { readManifest } from './index/manifest.ts';
import { Ranker } from './ranking/ranker.ts';
import { SearchPool } from './ranking/search-pool.ts';
import type { SearchWorkerData } from './ranking/search-worker.ts';

const words = ['oslo', 'fjord', 'paris', 'seine', 'rome', 'tiber', 'river', 'city', 'old', 'new'];
const passages = Array.from({ length: 400 }, (_, i) => ({
  id: `p${i}`,
  title: words[i % 10]!,
  text: [1, 3, 7, 11].map((step) => words[(i * step + (i >> 3)) % 10]).join(' '),
}));
/** 300 queries, a third of them the same words as another. */
const queries = Array.from({ length: 300 }, (_, i) => {
  const [x, y, z] = [i % 10, (i >> 1) % 10, (i >> 4) % 10].map((j) => words[j]!);
  return i % 3 === 0 ? `${z} ${y}s, the ${x}!` : `${x} ${y} ${z}`;
});

let folder: string;
let expected: ReturnType<Bm25Index['searchNow']>[];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'disk-bm25-'));
  const corpus = path.join(folder, 'corpus.jsonl');
  await writeFile(corpus, passages.map((passage) => `${JSON.stringify(passage)}\n`).join(''));
  const options = { corpus: [corpus], out: path.join(folder, 'index'), analyzer: 'english', memory: 2e9 } as const;
  await buildIndex({ ...options, k1: 0.9, b: 0.4, length: 'lucene', workers: 1 });
  const memory = new Bm25Index(passages, { length: 'lucene' });
  expected = queries.map((query) => memory.searchNow(query, 5));
});
afterAll(() => rm(folder, { recursive: true }));

const open = (options = {}) => DiskBm25.open(path.join(folder, 'index'), options);

describe.each([0, 2])('%i workers', (workers) => {
  test('the lists are those of the index in memory, with and without the cache, searched at once or not', async () => {
    for (const cacheBytes of [0, 1e6]) {
      const index = await open({ workers, cacheBytes });
      expect(await Promise.all([index.search(queries, 5), index.search(queries, 5)])).toEqual([expected, expected]);
      expect(await index.search(queries, 5)).toEqual(expected);
      await index.close();
    }
  });

  test('aborted before it began and midway, it rejects and the next search is whole', async () => {
    const index = await open({ workers, cacheBytes: 0 });
    const many = Array.from({ length: 40 }, () => queries).flat();
    await expect(index.search(queries, 5, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    const controller = new AbortController();
    const search = index.search(many, 5, controller.signal);
    setImmediate(() => controller.abort(new Error('enough')));
    await expect(search).rejects.toThrow('enough');
    expect(await index.search(queries, 5)).toEqual(expected);
    await index.close();
  });

  test('closed, it refuses', async () => {
    const index = await open({ workers });
    await index.close();
    await index.close();
    await expect(index.search(['oslo'], 1)).rejects.toThrow('closed');
  });
});

test('the same words in another order and form are one search', async () => {
  const index = await open();
  const [first, second] = await index.search(['old rivers', 'the river, old?'], 3);
  await index.search(['river old'], 3);
  expect(second).toEqual(first);
  expect(index.statistics()).toMatchObject({ queries: 3, cacheHits: 2 });
  await index.search(['river old'], 4);
  expect(index.statistics()).toMatchObject({ queries: 4, cacheHits: 2 });
  await index.close();
});

test('other k1, b and length form at opening', async () => {
  const index = await open({ k1: 1.5, b: 0.9, length: 'exact' });
  const memory = new Bm25Index(passages, { k1: 1.5, b: 0.9, length: 'exact' });
  expect(await index.search(queries, 5)).toEqual(queries.map((query) => memory.searchNow(query, 5)));
  // The fingerprint is that of the directory, which was built with other numbers.
  const { fingerprint } = await readManifest(path.join(folder, 'index'));
  expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
  expect(index.info.settings).toEqual({ analyzer: 'english', k1: 1.5, b: 0.9, length: 'exact', fingerprint });
  await index.close();
});

describe('threads that fail', () => {
  const data = async (): Promise<SearchWorkerData> => {
    const { arrays, impacts } = await loadIndex(path.join(folder, 'index'));
    return { arrays, impacts, settings: { k1: 0.9, b: 0.4 } };
  };

  test('a failing thread is an error for its batch alone, and is replaced', async () => {
    const shared = await data();
    const pool = new SearchPool(shared, { workers: 1 });
    // k = 0 is refused by the thread's ranker, outside of any promise: the thread dies of it.
    await expect(pool.rank([[]], 0)).rejects.toThrow(/search thread failed/);
    const terms = new Ranker(shared.arrays, shared.settings).queryTerms(['oslo']);
    expect((await pool.rank([terms], 3))[0]!.positions).toHaveLength(3);
    const waiting = expect(pool.rank([terms], 3)).rejects.toThrow('closed');
    await pool.close();
    await waiting;
  });

  test('a thread that does not answer in time is an error too', async () => {
    const pool = new SearchPool(await data(), { workers: 1, chunkSeconds: 0 });
    await expect(pool.rank([[]], 1)).rejects.toThrow('no answer for 0 s');
    await pool.close();
  });
});

const long = path.join(process.env.SEARCH_E1_SHARED ?? '../shared', 'cases/retrieval/long-tokens.jsonl');
test.skipIf(!existsSync(long))(`Lucene's scores over long words, of ${long} (skipped where it is absent)`, async () => {
  const index = new Bm25Index(await loadCorpus([long]), { length: 'lucene' });
  const scores = (query: string) =>
    index.searchNow(query, 4).map(({ passage, score }) => [passage.id, Math.fround(score)]);
  // Of Lucene 8.7.
  expect(scores('virus sequence')).toEqual([
    ['b', Math.fround(0.45697987)],
    ['a', Math.fround(0.3754473)],
    ['d', Math.fround(0.3754473)],
  ]);
  expect(scores('data')).toEqual([
    ['b', Math.fround(0.38940853)],
    ['c', Math.fround(0.34314215)],
  ]);
});
