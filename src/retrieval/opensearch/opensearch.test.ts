import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Bm25Index } from '../bm25.ts';
import { corpusHash } from '../corpus.ts';
import type { Passage } from '../retriever.ts';
import { Connection } from './connection.ts';
import { loadIntoOpenSearch, type OpenSearchLoad } from './load.ts';
import { OpenSearchRetriever } from './opensearch-retriever.ts';
import { type FakeOpenSearch, startFakeOpenSearch } from './testing/fake-opensearch.ts';

let folder: string;
let server: FakeOpenSearch;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'opensearch-'));
  server = await startFakeOpenSearch();
});
afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

const words = ['oslo', 'fjord', 'paris', 'seine', 'running', 'the'];
const PASSAGES: Passage[] = Array.from({ length: 2500 }, (_, i) => ({
  id: `p${i}`,
  title: `${words[i % 6]}`,
  text: `${words[i % 5]} ${words[(i * 7) % 6]} ${words[(i * 3) % 4]}`,
}));

async function* stream(passages: readonly Passage[]): AsyncGenerator<Passage> {
  yield* passages;
}

async function load(changes: Partial<OpenSearchLoad> = {}, url = server.url, name = 'wiki'): Promise<number> {
  const connection = await Connection.open(url, {});
  const target = { url, index: name, k1: 0.9, b: 0.4 };
  try {
    return await loadIntoOpenSearch({ folder, target, connection, corpus: stream(PASSAGES), ...changes });
  } finally {
    await connection.close();
  }
}

const bulks = () => server.requests.filter(({ path }) => path === 'POST /_bulk').length;

describe('from corpus to hits', () => {
  test('the same hits as BM25 in memory, queries in order, in batches', async () => {
    const seen: number[] = [];
    expect(await load({ onProgress: (loaded) => seen.push(loaded) })).toBe(2500);
    expect(seen).toEqual([1000, 2000, 2500]);
    expect(await readdir(folder)).toEqual(['manifest.json']);
    const retriever = await OpenSearchRetriever.open(folder, { trust: [server.url] });
    expect(retriever.info).toEqual({
      kind: 'opensearch',
      passages: 2500,
      corpusHash: corpusHash(PASSAGES),
      settings: { analyzer: 'english', k1: 0.9, b: 0.4, length: 'lucene', url: server.url, index: 'wiki' },
    });
    const queries = Array.from({ length: 130 }, (_, i) => [words[i % 6]!, words[(i * 5) % 6]!, 'zebra'].join(' '));
    // The fake server ranks anew for each query; a few are enough.
    const few = [...queries.slice(0, 5), 'zebra', ''];
    const memory = new Bm25Index(PASSAGES);
    const plain = (query: string) => memory.searchNow(query, 3).map(({ passage, score }) => ({ passage, score }));
    expect(
      (await retriever.search(few, 3)).map((hits) =>
        hits.map(({ passage: { id, title, text }, score }) => ({ passage: { id, title, text }, score })),
      ),
    ).toEqual(few.map(plain));
    expect(await retriever.search([], 3)).toEqual([]);
    await expect(retriever.search(['oslo'], 0)).rejects.toThrow('k must be');
    await retriever.close();
  });

  test('more queries than one request takes', async () => {
    const passages = PASSAGES.slice(0, 3);
    await load({ corpus: stream(passages) });
    const retriever = await OpenSearchRetriever.open(folder, { trust: [server.url] });
    const hits = await retriever.search(
      Array.from({ length: 300 }, (_, i) => words[i % 3]!),
      1,
    );
    expect(hits.map(([best]) => best?.passage.id)).toEqual(
      Array.from({ length: 300 }, (_, i) => new Bm25Index(passages).searchNow(words[i % 3]!, 1)[0]?.passage.id),
    );
    expect(server.requests.filter(({ path }) => path === 'POST /_msearch')).toHaveLength(3);
    await retriever.close();
  });

  test('user and password come from the environment', async () => {
    const connection = await Connection.open(server.url, { OPENSEARCH_USERNAME: 'me', OPENSEARCH_PASSWORD: 'secret' });
    const target = { url: server.url, index: 'wiki', k1: 0.9, b: 0.4 };
    await loadIntoOpenSearch({ folder, target, connection, corpus: stream(PASSAGES.slice(0, 2)) });
    await connection.close();
    const expected = `Basic ${Buffer.from('me:secret').toString('base64')}`;
    expect(new Set(server.requests.map(({ authorization }) => authorization))).toEqual(new Set([expected]));
    await expect(Connection.open('http://me:secret@127.0.0.1:9200', {})).rejects.toThrow('must not hold a password');
    await expect(Connection.open('127.0.0.1:9200', {})).rejects.toThrow('not the address of a server');
  });
});

describe('loading', () => {
  test('goes on behind what was confirmed', async () => {
    server.fault = (path, call) => (path === 'POST /_bulk' && call === 2 ? {} : undefined);
    await expect(load()).rejects.toThrow('an answer of another shape');
    server.fault = () => undefined;
    expect(server.indices.get('wiki')!.documents.size).toBe(1000);
    const before = bulks();
    expect(await load()).toBe(2500);
    expect(bulks() - before).toBe(2);
    await expect(load()).rejects.toThrow('holds a finished index');
  });

  test('of another corpus or with other settings is not continued', async () => {
    server.fault = (path, call) => (path === 'POST /_bulk' && call === 2 ? {} : undefined);
    await expect(load()).rejects.toThrow('another shape');
    const changed = PASSAGES.map((passage, i) => (i === 500 ? { ...passage, text: 'other' } : passage));
    await expect(load({ corpus: stream(changed) })).rejects.toThrow('was of another corpus');
    await expect(load({ corpus: stream(PASSAGES.slice(0, 100)) })).rejects.toThrow('was of another corpus');
    const target = { url: server.url, index: 'wiki', k1: 1.2, b: 0.4 };
    await expect(load({ target })).rejects.toThrow('of other settings');
  });

  test('a passage that the busy server rejects is sent again, once', async () => {
    server.fault = (path, call) => (path === 'POST /_bulk' && call === 1 ? { items: 3 } : undefined);
    expect(await load({ corpus: stream(PASSAGES.slice(0, 10)) })).toBe(10);
    expect(bulks()).toBe(2);
    expect(server.indices.get('wiki')!.documents.size).toBe(10);
  });

  test('a passage that the server cannot take is named', async () => {
    const corpus = stream([PASSAGES[0]!, { id: 'poison', title: '', text: 'x' }]);
    await expect(load({ corpus })).rejects.toThrow('refuses passage 1 ("poison"): failed to parse');
  });

  test('a foreign index is left alone, and one that something else writes to is found out', async () => {
    await load({ folder: path.join(folder, 'first'), corpus: stream(PASSAGES.slice(0, 2)) });
    await expect(load({ folder: path.join(folder, 'second') })).rejects.toThrow('an index named wiki exists already');
    server.fault = (path) => (path === 'GET /other/_count' || path === 'POST /other/_count' ? { count: 3 } : undefined);
    const third = load(
      { folder: path.join(folder, 'third'), corpus: stream(PASSAGES.slice(0, 2)) },
      server.url,
      'other',
    );
    await expect(third).rejects.toThrow('holds 3 passages, 2 were loaded');
    expect(existsSync(path.join(folder, 'third', 'manifest.json'))).toBe(false);
  });
});

describe('searching', () => {
  let retriever: OpenSearchRetriever;
  beforeEach(async () => {
    await load({ corpus: stream(PASSAGES.slice(0, 20)) });
    retriever = await OpenSearchRetriever.open(folder, { trust: [server.url] });
  });
  afterEach(() => retriever.close());

  test('a busy server is asked again: the whole request, and single queries', async () => {
    const expected = await retriever.search(['oslo', 'seine'], 2);
    server.fault = (path, call) =>
      path !== 'POST /_msearch' ? undefined : call === 2 ? 'busy' : call === 3 ? { items: 1 } : undefined;
    expect(await retriever.search(['oslo', 'seine'], 2)).toEqual(expected);
    expect(server.requests.filter(({ path }) => path === 'POST /_msearch')).toHaveLength(4);
  });

  const good = { timed_out: false, _shards: { total: 5, failed: 0 }, hits: { hits: [] } };
  test.each<[string, object, string]>([
    ['a shard that failed', { responses: [{ ...good, _shards: { total: 5, failed: 2 } }] }, '2 of 5 shards failed'],
    ['a time-out on a shard', { responses: [{ ...good, timed_out: true }] }, 'timed out on a shard'],
    [
      'a query that fails',
      { responses: [{ status: 400, error: { type: 'too_many_clauses', reason: 'maxClauseCount is 1024' } }] },
      '"oslo": maxClauseCount is 1024',
    ],
    ['too few answers', { responses: [] }, '1 queries were asked, 0 answered'],
    ['something else', { hello: 1 }, 'an answer of another shape (responses'],
  ])('%s: no partial result', async (_name, fault, message) => {
    server.fault = (path) => (path === 'POST /_msearch' ? fault : undefined);
    await expect(retriever.search(['oslo'], 2)).rejects.toThrow(message);
  });

  test('an abort ends a wait at once', async () => {
    server.fault = (path) => (path === 'POST /_msearch' ? 'hang' : undefined);
    const abort = new AbortController();
    const pending = retriever.search(['oslo'], 2, abort.signal);
    setTimeout(() => abort.abort(new Error('enough')), 20);
    await expect(pending).rejects.toThrow('enough');
    await expect(retriever.search(['oslo'], 2, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
  });

  test('an index that is no longer the one that was loaded is refused', async () => {
    server.indices.get('wiki')!.documents.delete('7');
    await expect(OpenSearchRetriever.open(folder, { trust: [server.url] })).rejects.toThrow(
      'does not hold the corpus that was loaded (19 passages of 20)',
    );
    server.indices.delete('wiki');
    await expect(OpenSearchRetriever.open(folder, { trust: [server.url] })).rejects.toThrow('refused with status 404');
    server.close();
    await expect(OpenSearchRetriever.open(folder, { trust: [server.url] })).rejects.toThrow(`${server.url}: no answer`);
  });
});

const live = process.env.SEARCH_E1_OPENSEARCH_URL;

test.skipIf(!live)(
  'live (skipped unless SEARCH_E1_OPENSEARCH_URL is set): loads, ranks as BM25 in memory, is deleted',
  async () => {
    const name = `search-e1-test-${process.pid}-${Date.now()}`;
    const passages = PASSAGES.slice(0, 500);
    const connection = await Connection.open(live!);
    const target = { url: live!, index: name, k1: 0.9, b: 0.4 };
    try {
      await loadIntoOpenSearch({ folder, target, connection, corpus: stream(passages) });
      const retriever = await OpenSearchRetriever.open(folder, { trust: [live!] });
      const memory = new Bm25Index(passages);
      for (const query of ['oslo fjord', 'the running seine', 'paris paris oslo', 'zebra']) {
        const [hits] = await retriever.search([query], 10);
        // Lucene adds in float32 and in its own order, so near-ties may change places: scores are compared, rank by rank.
        const expected = memory.searchNow(query, 10);
        expect(hits!.length).toBe(expected.length);
        for (const [rank, { score }] of hits!.entries()) expect(score).toBeCloseTo(expected[rank]!.score, 4);
      }
      await retriever.close();
    } finally {
      const { z } = await import('zod');
      await connection.ask(z.looseObject({}), (client) => client.indices.delete({ index: name })).catch(() => {});
      await connection.close();
    }
  },
);
