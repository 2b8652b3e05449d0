import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListeningServer } from '../../base/http/listen.ts';
import { Random, streamKey } from '../../base/random.ts';
import { Bm25Index } from '../bm25.ts';
import type { Retriever } from '../retriever.ts';
import { defaultServerOptions, serveRetriever } from './server.ts';

const passages = [
  { id: 'a', title: 'Cats', text: 'cats purr and sleep' },
  { id: 'b', title: 'Dogs', text: 'dogs bark at cats' },
  { id: 'c', title: 'Fish', text: 'fish swim' },
  { id: 'd', title: 'Birds', text: 'birds fly from cats' },
  { id: 'e', title: 'Lions', text: 'large cats roar' },
];
const index = new Bm25Index(passages);
const headers = { 'Content-Type': 'application/json' };
/** A guard against hanging on a busy machine. */
const WAIT = { timeout: 180_000 };
const local = { ...defaultServerOptions, port: 0 };

let server: ListeningServer;
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
    ['a large body', { queries: [], pad: 'x'.repeat(16 * 2 ** 20) }, 413, /^body: expected at most 16777216 bytes/],
    [
      'too large an answer',
      { queries: Array(101).fill('x'), topk: 1000 },
      413,
      /^queries x topk: expected at most 100000 /,
    ],
    ['another content type', '{"queries": []}', 415, /application\/json/, { 'Content-Type': 'text/plain' }],
    ['another charset', '{"queries": []}', 415, /application/, { 'Content-Type': 'application/json; charset=latin1' }],
    ['a compressed body', '{"queries": []}', 415, /^Content-Encoding: /, { 'Content-Encoding': 'gzip' }],
    ['a page of elsewhere', '{"queries": []}', 403, /^Origin: /, { Origin: 'http://elsewhere.example' }],
    ['deep JSON', `{"queries": ${'['.repeat(100_000)}`, 400, /^body: nested deeper than 128 levels/],
    [
      'JSON of many values',
      `{"queries": [${'[],'.repeat(100_000)}`,
      400,
      /^body: more than 100000 strings, brackets and commas/,
    ],
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

describe('what a client sends', () => {
  /** Sends bytes as they are, and gives what comes back until the server closes or `until` has come. */
  const raw = (url: string, ...pieces: (string | Buffer)[]) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      let answer = '';
      socket.on('data', (data) => {
        answer += String(data);
      });
      socket.on('end', () => resolve(answer)).on('error', reject);
      for (const piece of pieces) socket.write(piece);
    });
  const head = (...lines: string[]) => ['POST /retrieve HTTP/1.1', 'Connection: close', ...lines, '', ''].join('\r\n');
  const json = 'Content-Type: application/json';

  it('is refused without a content type, under another name, and in other bytes than UTF-8', async () => {
    const body = '{"queries": ["fish"]}';
    const length = `Content-Length: ${body.length}`;
    expect(await raw(server.url, head('Host: 127.0.0.1', json, length), body)).toMatch(/ 200 OK/);
    expect(await raw(server.url, head('Host: 127.0.0.1', length), body)).toMatch(/ 415 .*Content-Type/s);
    expect(await raw(server.url, head('Host: elsewhere.example', json, length), body)).toMatch(/ 403 .*Host/s);
    expect(await raw(server.url, head(json, length), body)).toMatch(/ 400 /);
    const latin1 = Buffer.from('{"queries": ["caf\xe9"]}', 'latin1');
    const answer = await raw(server.url, head('Host: localhost', json, `Content-Length: ${latin1.length}`), latin1);
    expect(answer).toMatch(/ 400 .*body:1: not UTF-8: byte E9/s);
  });

  it('may begin with a byte order mark', async () => {
    const body = '{"queries": ["fish"]}';
    const marked = await post(`\ufeff${body}`);
    expect(marked).toEqual(await post(body));
    expect((await post(`\ufeff\ufeff${body}`)).status).toBe(400);
  });

  it('is not waited for when it says that it is too large', async () => {
    const answer = await raw(
      server.url,
      head('Host: localhost', json, 'Content-Length: 17000000', 'Expect: 100-continue'),
    );
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    const small = head('Host: localhost', json, 'Content-Length: 15', 'Expect: 100-continue');
    expect(await raw(server.url, small, '{"queries": []}')).toMatch(/^HTTP\/1.1 100 Continue.*HTTP\/1.1 200 OK.*\[\]/s);
  });

  it('is answered in order when requests come in one piece', async () => {
    const one = (query: string) => {
      const body = JSON.stringify({ queries: [query] });
      return `POST /retrieve HTTP/1.1\r\nHost: localhost\r\n${json}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    };
    const last = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    const answer = await raw(server.url, one('fish') + one('roar') + one('fly') + last);
    expect(answer.match(/"(Fish|Lions|Birds)"|"status":"ok"/g)).toEqual([
      '"Fish"',
      '"Lions"',
      '"Birds"',
      '"status":"ok"',
    ]);
  });

  it('is cut off when it is many requests without waiting for an answer', async () => {
    const one = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const answers = async (count: number) => {
      const last = one.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
      const text = await raw(server.url, one.repeat(count - 1) + last).catch(() => '');
      return text.match(/"status":"ok"/g)?.length ?? 0;
    };
    expect(await answers(60)).toBe(60);
    expect(await answers(1000)).toBeLessThan(1000);
    expect((await post({ queries: ['fish'] })).status).toBe(200);
  });

  it('may hold a query that is too long, where the server is told to pass over it', async () => {
    const own = await serveRetriever(index, { ...local, limits: { ...local.limits, longQueries: 'empty' } });
    const body = JSON.stringify({ queries: ['fish', `fish ${'x'.repeat(10_000)}`, 'roar'] });
    const response = await fetch(`${own.url}/retrieve`, { method: 'POST', headers, body });
    const { result } = (await response.json()) as { result: { id: string }[][] };
    expect(result.map((list) => list.map(({ id }) => id))).toEqual([['c'], [], ['e']]);
    expect(await (await fetch(`${own.url}/metrics`)).text()).toContain('search_e1_long_queries_total 1\n');
    await own.close();
  });
});

describe('a large answer', () => {
  const many = Array.from({ length: 40 }, (_, i) => ({
    id: `${i}`,
    title: `T${i}`,
    text: `word ${'é"\\ '.repeat(1000)}`,
  }));
  const large = new Bm25Index(many);

  it('comes in parts, and is the JSON that it would be as a whole', async () => {
    const batches: number[] = [];
    const watched: Retriever = {
      info: large.info,
      search: (queries, k, signal) => {
        batches.push(queries.length);
        return large.search(queries, k, signal);
      },
    };
    const own = await serveRetriever(watched, local);
    const queries = Array.from({ length: 90 }, (_, i) => (i % 7 === 3 ? 'nothing' : 'word'));
    const response = await fetch(`${own.url}/retrieve`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ queries, topk: 40, return_scores: true }),
    });
    const expected = (await large.search(queries, 40)).map((hits) =>
      hits.map(({ passage: { id, title, text }, score }) => ({
        document: { id, title, text, contents: `"${title}"\n${text}` },
        score,
      })),
    );
    expect(await response.json()).toEqual({ result: expected });
    expect(batches.length).toBeGreaterThan(5);
    expect(batches.reduce((sum, n) => sum + n, 0)).toBe(90);
    await own.close();
  });

  it('is not made in one piece because queries before found nothing', async () => {
    const batches: number[] = [];
    const watched: Retriever = {
      info: large.info,
      search: (queries, k, signal) => {
        batches.push(queries.length);
        return large.search(queries, k, signal);
      },
    };
    const own = await serveRetriever(watched, local);
    const ask = (query: string, count: number) =>
      fetch(`${own.url}/retrieve`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ queries: Array(count).fill(query), topk: 40 }),
      });
    for (let i = 0; i < 20; i++) await (await ask('nothing', 200)).text();
    batches.splice(0);
    await (await ask('word', 90)).text();
    expect(batches.length).toBeGreaterThan(5);
    await own.close();
  });

  it('is broken off when the search fails in the middle, and counted as failed', async () => {
    let calls = 0;
    const failing: Retriever = {
      info: large.info,
      search: async (queries, k) => {
        if (++calls > 2) throw new Error('disk on fire');
        return large.search(queries, k);
      },
    };
    const own = await serveRetriever(failing, local);
    const body = JSON.stringify({ queries: Array(90).fill('word'), topk: 40 });
    const response = await fetch(`${own.url}/retrieve`, { method: 'POST', headers, body });
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
    expect(await (await fetch(`${own.url}/metrics`)).text()).toContain('search_e1_requests_total{status="500"} 1\n');
    await own.close();
  });
});

it('counts time-outs in the histogram, and clients that leave as such', async () => {
  const aborted: unknown[] = [];
  const slow: Retriever = {
    info: index.info,
    search: (_queries, _k, signal) =>
      new Promise((_, reject) =>
        signal!.addEventListener('abort', () => {
          aborted.push(signal!.reason);
          reject(signal!.reason);
        }),
      ),
  };
  const own = await serveRetriever(slow, { ...local, searchSeconds: 0.3 });
  const ask = (signal?: AbortSignal) =>
    fetch(`${own.url}/retrieve`, { method: 'POST', headers, body: '{"queries": ["x"]}', ...(signal && { signal }) });
  expect((await ask()).status).toBe(503);
  const leaving = new AbortController();
  const left = ask(leaving.signal);
  setTimeout(() => leaving.abort(), 100);
  await expect(left).rejects.toThrow();
  await expect.poll(() => aborted.length, WAIT).toBe(2);
  const text = await (await fetch(`${own.url}/metrics`)).text();
  expect(text).toContain('search_e1_requests_total{status="503"} 1\n');
  expect(text).toContain('search_e1_requests_total{status="499"} 1\n');
  expect(text).not.toContain('status="500"');
  expect(text).toContain('search_e1_retrieve_seconds_bucket{le="+Inf"} 2\n');
  expect(text).toMatch(/search_e1_retrieve_seconds_bucket\{le="0.25"\} [01]\n/);
  await own.close();
});

it('answers 503 to connections and requests beyond its limits, and goes on with the others', async () => {
  const own = await serveRetriever(index, { ...local, maxConnections: 5 });
  const port = Number(new URL(own.url).port);
  const held = await Promise.all(
    Array.from(
      { length: 4 },
      () =>
        new Promise<ReturnType<typeof connect>>((done) => {
          const socket = connect(port, '127.0.0.1', () =>
            socket.write('POST /retrieve HTTP/1.1\r\nHost: localhost\r\n', () => done(socket)),
          );
          socket.on('error', () => {});
        }),
    ),
  );
  const agent = new Agent({ keepAlive: true });
  const health = (with_: Agent | false) =>
    new Promise<number>((resolve, reject) => {
      request(`${own.url}/healthz`, { agent: with_ }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode!));
      })
        .on('error', reject)
        .end();
    });
  expect(await health(agent)).toBe(200);
  const refused = await Promise.all(Array.from({ length: 30 }, () => health(false)));
  // The first of them closes the idle connection, and makes room for one of the others.
  expect(new Set(refused)).toContain(503);
  for (const socket of held) socket.destroy();
  await expect.poll(() => health(false), WAIT).toBe(200);
  agent.destroy();
  await own.close();

  const none = await serveRetriever(index, { ...local, maxRequests: 0 });
  const response = await fetch(`${none.url}/retrieve`, { method: 'POST', headers, body: '{"queries": ["x"]}' });
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
  await none.close();
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

it('answers clients that keep asking over open connections, and tells each that it was the last time', async () => {
  const own = await serveRetriever(index, local);
  const agent = new Agent({ keepAlive: true });
  const answers = { before: 0, after: 0, last: 0 };
  const failures: string[] = [];
  let closing = false;
  const ask = () =>
    new Promise<boolean>((goOn) => {
      request(`${own.url}/retrieve`, { method: 'POST', headers, agent }, (response) => {
        response.resume().on('end', () => {
          answers[closing ? 'after' : 'before'] += 1;
          if (response.headers.connection === 'close') answers.last += 1;
          goOn(true);
        });
      })
        .on('error', (error: NodeJS.ErrnoException) => {
          failures.push(error.code ?? error.message);
          goOn(false);
        })
        .end('{"queries": ["fish"]}');
    });
  const clients = Array.from({ length: 20 }, async () => {
    while (await ask());
  });
  await expect.poll(() => answers.before, WAIT).toBeGreaterThan(200);
  closing = true;
  const closed = await own.close();
  await Promise.all(clients);
  // Then there is nobody to connect to; nobody was cut off.
  expect(failures).toEqual(Array(20).fill('ECONNREFUSED'));
  expect(closed.unanswered).toBe(0);
  expect(answers.last).toBe(closed.answered);
  expect(answers.after).toBeGreaterThanOrEqual(20);
});

it('counts what it cuts off at the end of its patience', async () => {
  const hanging: Retriever = { info: index.info, search: () => new Promise(() => {}) };
  const own = await serveRetriever(hanging, local);
  const asked = fetch(`${own.url}/retrieve`, { method: 'POST', headers, body: '{"queries": ["x"]}' });
  const silent = connect(Number(new URL(own.url).port), '127.0.0.1').on('error', () => {});
  await new Promise((resolve) => setTimeout(resolve, 100));
  const closed = own.close(0.2);
  await expect(asked).rejects.toThrow();
  expect(await closed).toEqual({ answered: 0, unanswered: 1 });
  silent.destroy();
});
