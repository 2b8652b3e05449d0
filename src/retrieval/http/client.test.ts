import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Bm25Index } from '../bm25.ts';
import { type HttpRetrieverOptions, openHttpRetriever } from './client.ts';
import { defaultServerOptions, serveRetriever } from './server.ts';

const index = new Bm25Index(
  Array.from({ length: 30 }, (_, i) => ({
    id: `p${i}`,
    title: `Title ${i % 7}`,
    text: `word${i % 5} other${i % 3} text`,
  })),
);
const queries = Array.from({ length: 23 }, (_, i) => `word${i % 5} title ${i % 7}`);
const quick: Partial<HttpRetrieverOptions> = {
  firstWait: 0.001,
  longestWait: 0.002,
  attempts: 4,
  batch: 5,
  concurrency: 2,
};

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

/** A server that answers as scripted; the last answer stands for all that follow. */
async function scripted(
  ...script: ((response: ServerResponse, queries: string[], request: IncomingMessage) => void)[]
) {
  const asked: string[][] = [];
  const server = createServer(async (request, response) => {
    if (request.url === '/healthz') return void response.writeHead(404).end();
    let text = '';
    for await (const part of request) text += String(part);
    const { queries: given } = JSON.parse(text) as { queries: string[] };
    asked.push(given);
    const answer = script.length > 1 ? script.shift()! : script[0]!;
    answer(response, given, request);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  open.push({
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const fine = (response: ServerResponse, given: string[]) =>
  response.end(
    JSON.stringify({ result: given.map((query) => [{ document: { id: 1, contents: `"T"\n${query}` }, score: 2 }]) }),
  );
const status =
  (code: number, headers = {}, body = '{"error": "no"}') =>
  (response: ServerResponse) =>
    void response.writeHead(code, headers).end(body);

describe('against our own server', () => {
  it('gives what the index gives, in any batching, and takes over its description', async () => {
    const server = await serveRetriever(index, { ...defaultServerOptions, port: 0 });
    open.push(server);
    const retriever = await openHttpRetriever(`${server.url}/retrieve/`, quick);
    expect(retriever.info).toEqual({
      ...index.info,
      kind: 'http bm25',
      settings: { ...index.info.settings, url: server.url },
    });
    expect(await retriever.search(queries, 4)).toEqual(await index.search(queries, 4));
    expect(await retriever.search([], 4)).toEqual([]);
  });
});

describe('against other servers', () => {
  it('takes documents with contents alone, and hashes them for an id where none is given', async () => {
    const { url } = await scripted((response) =>
      response.end(
        JSON.stringify({
          result: [
            [
              { contents: '"A"\nfirst', extra: 1 },
              { id: 'x', title: 'B', text: 'second' },
              { _id: 3, text: 'third' },
            ],
          ],
        }),
      ),
    );
    const retriever = await openHttpRetriever(url, quick);
    expect(retriever.info).toMatchObject({ kind: 'http', passages: 0, settings: { url, corpus: 'unverified' } });
    const [[first, second, ...rest]] = (await retriever.search(['q'], 2)) as [[never, never]];
    expect(first).toEqual({
      passage: { id: expect.stringMatching(/^[0-9a-f]{16}$/), title: 'A', text: 'first' },
      score: 0,
    });
    expect(second).toEqual({ passage: { id: 'x', title: 'B', text: 'second' }, score: 0 });
    expect(rest).toEqual([]);
  });

  it.each([
    ['an overload', status(503)],
    ['a request to wait', status(429, { 'Retry-After': '0' })],
    ['a broken answer', (response: ServerResponse) => response.write('{"res', () => response.destroy())],
    ['no JSON', status(200, {}, '<html>')],
    ['JSON of another form', status(200, {}, '{"results": []}')],
    ['too few lists', status(200, {}, '{"result": []}')],
    ['a document without text', status(200, {}, '{"result": [[{"document": {"id": "1"}}]]}')],
    ['a connection that is closed', (response: ServerResponse) => response.destroy()],
  ])('asks again after %s', async (_name, fault) => {
    const { url, asked } = await scripted(fault, fault, fine);
    const retriever = await openHttpRetriever(url, quick);
    expect(await retriever.search(['q'], 3)).toEqual([[{ passage: { id: '1', title: 'T', text: 'q' }, score: 2 }]]);
    expect(asked).toHaveLength(3);
  });

  it('waits as long as the server asks', async () => {
    const { url } = await scripted(status(429, { 'Retry-After': '1' }), fine);
    const retriever = await openHttpRetriever(url, quick);
    const start = performance.now();
    await retriever.search(['q'], 1);
    // Timers may fire up to a millisecond early.
    expect(performance.now() - start).toBeGreaterThan(990);
  });

  it('gives up after some attempts, and at once when the request is refused', async () => {
    const busy = await scripted(status(500));
    await expect((await openHttpRetriever(busy.url, quick)).search(['q'], 1)).rejects.toThrow(
      /\/retrieve: status 500: \{"error": "no"\} \(asked 4 times\)/,
    );
    expect(busy.asked).toHaveLength(4);
    const strict = await scripted(status(400));
    await expect((await openHttpRetriever(strict.url, quick)).search(['q'], 1)).rejects.toThrow(
      /status 400: \{"error": "no"\}/,
    );
    expect(strict.asked).toHaveLength(1);
  });

  it('asks only the failed part of a batch again', async () => {
    const { url, asked } = await scripted(fine, status(503), fine);
    const retriever = await openHttpRetriever(url, { ...quick, concurrency: 1 });
    await retriever.search(queries, 1);
    expect(asked.map(([first]) => first)).toEqual([0, 5, 5, 10, 15, 20].map((i) => queries[i]));
  });

  it('does not wait for a server that hangs, nor beyond the signal', async () => {
    const { url, asked } = await scripted(() => {});
    const retriever = await openHttpRetriever(url, { ...quick, requestSeconds: 0.03 });
    await expect(retriever.search(['q'], 1)).rejects.toThrow(/asked 4 times/);
    expect(asked).toHaveLength(4);
    const patient = await openHttpRetriever(url, quick);
    const stop = new AbortController();
    const search = patient.search(['q'], 1, stop.signal);
    setTimeout(() => stop.abort(new Error('enough')), 20);
    await expect(search).rejects.toThrow('enough');
  });
});

describe('opening', () => {
  it.each([
    ['localhost:8000', /not a URL/],
    ['ftp://localhost', /not a URL/],
    ['http://me:secret@127.0.0.1:9', /^http:\/\/127.0.0.1:9: an address must not hold a password$/],
  ])('%s is refused', async (url, message) => {
    await expect(openHttpRetriever(url, quick)).rejects.toThrow(message);
  });

  it('says when nothing answers', async () => {
    const { url } = await scripted(fine);
    for (const each of open.splice(0)) await each.close();
    await expect(openHttpRetriever(url, quick)).rejects.toThrow(/: no retrieval server answers there .*ECONNREFUSED/);
  });
});
