import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random, streamKey } from '../../base/random.ts';
import { Bm25Index } from '../bm25.ts';
import type { Retriever } from '../retriever.ts';
import { defaultServerOptions, type RetrieverServer, serveRetriever } from './server.ts';

const passages = [
  { id: 'a', title: 'Cats', text: 'cats purr and sleep' },
  { id: 'b', title: 'Dogs', text: 'dogs bark at cats' },
  { id: 'c', title: 'Fish', text: 'fish swim' },
  { id: 'd', title: 'Birds', text: 'birds fly from cats' },
  { id: 'e', title: 'Lions', text: 'large cats roar' },
];
const index = new Bm25Index(passages);
const headers = { 'Content-Type': 'application/json' };
const local = { ...defaultServerOptions, port: 0 };

let server: RetrieverServer;
beforeAll(async () => {
  server = await serveRetriever(index, local);
});
afterAll(() => server.close());

async function post(body: unknown, other: Record<string, string> = {}) {
  const response = await fetch(`${server.url}/retrieve`, {
    method: 'POST',
    headers: { ...headers, ...other },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as { error?: string; result?: unknown[][] } };
}

describe('POST /retrieve', () => {
  it('answers with documents and scores', async () => {
    const { status, body } = await post({ queries: ['purring cats', 'nothing'], topk: 1, return_scores: true });
    expect(status).toBe(200);
    const [hit] = index.searchNow('purring cats', 1);
    const document = { id: 'a', title: 'Cats', text: 'cats purr and sleep', contents: '"Cats"\ncats purr and sleep' };
    expect(body).toEqual({ result: [[{ document, score: hit!.score }], []] });
  });

  it('answers with documents alone when scores are not asked for', async () => {
    const { body } = await post({ queries: ['fish'] });
    expect(body).toEqual({ result: [[{ id: 'c', title: 'Fish', text: 'fish swim', contents: '"Fish"\nfish swim' }]] });
  });

  it.each([[undefined], [0], [null]])('takes the default number of passages when topk is %j', async (topk) => {
    expect((await post({ queries: ['cats'], topk })).body.result![0]).toHaveLength(3);
  });

  it('takes no queries for an answer', async () => {
    expect(await post({ queries: [] })).toEqual({ status: 200, body: { result: [] } });
  });

  it.each<[string, unknown, number, RegExp, Record<string, string>?]>([
    ['broken JSON', '{"queries": [', 400, /body: not valid JSON/],
    ['an empty body', '', 400, /body: not valid JSON/],
    ['no queries', {}, 400, /^queries: /],
    ['a query that is no text', { queries: [3] }, 400, /^queries\.0: /],
    ['queries that are one text', { queries: 'cats' }, 400, /^queries: /],
    ['a huge topk', { queries: ['x'], topk: 1e9 }, 400, /^topk: expected at most 1000/],
    ['a negative topk', { queries: ['x'], topk: -1 }, 400, /^topk: /],
    ['a topk that is no number', { queries: ['x'], topk: '3' }, 400, /^topk: /],
    ['too many queries', { queries: Array(9000).fill('x') }, 400, /^queries: expected at most 8192/],
    ['a long query', { queries: ['x'.repeat(10_001)] }, 400, /^queries\.0: expected at most 10000 characters/],
    ['a large body', { queries: [], pad: 'x'.repeat(16 * 2 ** 20) }, 413, /expected at most \d+ bytes/],
    ['another content type', '{"queries": []}', 415, /application\/json/, { 'Content-Type': 'text/plain' }],
  ])('refuses %s', async (_name, body, status, reason, headers) => {
    const answer = await post(body, headers);
    expect(answer.status).toBe(status);
    expect(answer.body.error).toMatch(reason);
  });

  it('answers 500 with the reason when the search fails', async () => {
    const failing: Retriever = { info: index.info, search: () => Promise.reject(new Error('disk on fire')) };
    const other = await serveRetriever(failing, local);
    const response = await fetch(`${other.url}/retrieve`, { method: 'POST', headers, body: '{"queries": ["x"]}' });
    expect([response.status, await response.json()]).toEqual([500, { error: 'disk on fire' }]);
    await other.close();
  });

  it('answers 503 when the search takes too long, and stops it', async () => {
    let stopped = false;
    const slow: Retriever = {
      info: index.info,
      search: (_queries, _k, signal) =>
        new Promise((_, reject) =>
          signal!.addEventListener('abort', () => {
            stopped = true;
            reject(signal!.reason);
          }),
        ),
    };
    const other = await serveRetriever(slow, { ...local, searchSeconds: 0.05 });
    const response = await fetch(`${other.url}/retrieve`, { method: 'POST', headers, body: '{"queries": ["x"]}' });
    expect(response.status).toBe(503);
    expect(stopped).toBe(true);
    await other.close();
  });
});

describe('the other pages', () => {
  it('say what is served', async () => {
    const health = (await (await fetch(`${server.url}/healthz`)).json()) as object;
    expect(health).toEqual({ status: 'ok', retriever: JSON.parse(JSON.stringify(index.info)) });
  });

  it('count requests, queries and seconds', async () => {
    const own = await serveRetriever(index, local);
    const url = `${own.url}/retrieve`;
    for (const body of ['{"queries": ["cats", "dogs"]}', '{"queries": ["fish"]}', 'no'])
      await fetch(url, { method: 'POST', headers, body });
    const text = await (await fetch(`${own.url}/metrics`)).text();
    expect(text).toContain('search_e1_requests_total{status="200"} 2\n');
    expect(text).toContain('search_e1_requests_total{status="400"} 1\n');
    expect(text).toContain('search_e1_queries_total 3\n');
    expect(text).toMatch(/search_e1_retrieve_seconds_bucket\{le="\+Inf"\} 2\n/);
    expect(text).toContain('search_e1_passages 5\n');
    // Every line is a comment or a sample.
    for (const line of text.trimEnd().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{[^}]*\})? [\d.e+-]+)$/);
    await own.close();
  });

  it('count what the cache of the retriever answered', async () => {
    const cached: Retriever = {
      info: index.info,
      search: index.search.bind(index),
      statistics: () => ({ queries: 8, cacheHits: 6, cacheBytes: 1234 }),
    };
    const own = await serveRetriever(cached, local);
    const text = await (await fetch(`${own.url}/metrics`)).text();
    expect(text).toMatch(/# TYPE search_e1_cache_hits_total counter\nsearch_e1_cache_hits_total 6\n/);
    expect(text).toContain('\nsearch_e1_cache_misses_total 2\n');
    expect(text).toContain('\nsearch_e1_cache_hit_ratio 0.75\n');
    expect(text).toContain('\nsearch_e1_cache_bytes 1234\n');
    await own.close();
    // A retriever without a cache has none of them.
    expect(await (await fetch(`${server.url}/metrics`)).text()).not.toContain('cache');
  });

  it('refuse what they do not know', async () => {
    expect((await fetch(`${server.url}/retrieve`)).status).toBe(405);
    expect((await fetch(`${server.url}/elsewhere`)).status).toBe(404);
  });
});

it('goes on serving after a thousand malformed requests', async () => {
  const random = new Random(streamKey(1, 'malformed'));
  const pick = <T>(values: readonly T[]): T => values[random.below(values.length)]!;
  const values = [null, -1, 1e308, 'x', '\u0000', [], {}, [[]], [null], true, { queries: {} }, 'x'.repeat(20_000)];
  const bodies = [
    () => JSON.stringify(pick(values)),
    () => JSON.stringify({ queries: pick(values), topk: pick(values), return_scores: pick(values) }),
    () => '{"queries": ["cats"'.slice(0, 1 + random.below(18)),
    () => String.fromCharCode(...Array.from({ length: 40 }, () => random.below(65_536))),
    () => `{"queries": ["x"], "topk": ${'9'.repeat(1 + random.below(400))}}`,
  ];
  const send = async () => {
    const method = pick(['POST', 'POST', 'POST', 'PUT', 'DELETE', 'GET']);
    const response = await fetch(server.url + pick(['/retrieve', '/retrieve', '/retrieve/', '/', '/healthz', '/%ff']), {
      method,
      headers: { 'Content-Type': pick(['application/json', 'application/json', 'text/html', 'multipart/form-data']) },
      ...(method === 'GET' ? {} : { body: pick(bodies)() }),
    });
    await response.text();
    return response.status;
  };
  const statuses: number[] = [];
  for (let i = 0; i < 1000; i += 50) statuses.push(...(await Promise.all(Array.from({ length: 50 }, send))));
  expect(statuses.filter((status) => status >= 500)).toEqual([]);
  expect(statuses.filter((status) => status >= 400).length).toBeGreaterThan(700);
  expect((await post({ queries: ['fish'] })).status).toBe(200);
});

it('goes on serving after requests that break off', async () => {
  const port = Number(new URL(server.url).port);
  const pieces = [
    'POST /retrieve HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"que',
    'GARBAGE\r\n\r\n',
    'POST /retrieve HTTP/1.1\r\nHo',
  ];
  await Promise.all(
    pieces.map(
      (piece) =>
        new Promise<void>((done) => {
          const socket = connect(port, '127.0.0.1', () =>
            socket.write(piece, () => setTimeout(() => socket.destroy(), 20)),
          );
          socket.on('error', () => {}).on('close', () => done());
        }),
    ),
  );
  expect((await post({ queries: ['fish'] })).status).toBe(200);
});

it('lets requests under way finish when it is closed, and takes no more', async () => {
  let release = () => {};
  const waiting: Retriever = {
    info: index.info,
    search: async (queries, k) => {
      await new Promise<void>((go) => {
        release = go;
      });
      return index.search(queries, k);
    },
  };
  const own = await serveRetriever(waiting, local);
  const answer = new Promise<string>((resolve, reject) => {
    const asked = request(`${own.url}/retrieve`, { method: 'POST', headers }, (response) => {
      let text = '';
      response.on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    });
    asked.on('error', reject).end('{"queries": ["fish"]}');
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const closed = own.close();
  await expect(fetch(`${own.url}/healthz`)).rejects.toThrow();
  release();
  expect(JSON.parse(await answer).result[0]).toHaveLength(1);
  await closed;
});

it('says when the address is taken', async () => {
  const port = Number(new URL(server.url).port);
  await expect(serveRetriever(index, { ...local, port })).rejects.toThrow(/another program listens there/);
});
