import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { openEmbedder } from './open-embedder.ts';
import { openServedEmbedder } from './served-embedder.ts';

interface Asked {
  readonly model: string;
  readonly input: string[];
  readonly encoding_format: string;
}
type Answer = { readonly status?: number; readonly body: unknown };

let server: Server | undefined;
const seen: { body: Asked; url: string | undefined; authorization: string | undefined }[] = [];
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  seen.length = 0;
});

/** A server on loopback that answers by the function; its address. */
async function serve(answer: (asked: Asked, call: number) => Answer | undefined): Promise<string> {
  server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    const body = JSON.parse(text) as Asked;
    seen.push({ body, url: request.url, authorization: request.headers.authorization });
    const reply = answer(body, seen.length);
    if (reply === undefined) return;
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', 'retry-after-ms': '1' });
    response.end(JSON.stringify(reply.body));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

/** Made up: (length of the text, 3, number of "o"s), which is no unit vector. */
const vectorOf = (text: string) => [text.length, 3, text.split('o').length - 1];
const unit = (vector: number[]) => vector.map((value) => value / Math.hypot(...vector));
const base64 = (vector: number[]) => Buffer.from(Float32Array.from(vector).buffer).toString('base64');

/** What a good server says, in any order. */
function good({ input }: Asked, form: (vector: number[]) => unknown = base64): Answer {
  const data = input.map((text, index) => ({ object: 'embedding', index, embedding: form(vectorOf(text)) }));
  return { body: { object: 'list', data: data.reverse(), model: 'm' } };
}

describe('what a good server says', () => {
  test.each([
    ['base64', base64],
    ['numbers', (vector: number[]) => vector],
  ])('%s: in the order of the texts, of norm 1, in batches', async (_name, form) => {
    const url = await serve((asked) => good(asked, form));
    const embedder = await openServedEmbedder({ url, model: 'm' }, { batch: 7 });
    expect(embedder.info).toEqual({ name: `${url}#m`, dimension: 3, hash: '', prefixes: { query: '', passage: '' } });
    const texts = Array.from({ length: 40 }, (_, i) => 'oslo'.repeat(i + 1));
    const rows = await embedder.embed(texts, 'query');
    for (const [i, text] of texts.entries())
      for (const [j, value] of unit(vectorOf(text)).entries()) expect(rows[3 * i + j]).toBeCloseTo(value, 6);
    expect(
      seen
        .slice(1)
        .map(({ body }) => body.input.length)
        .sort(),
    ).toEqual([5, 7, 7, 7, 7, 7]);
    for (const { body, url: path, authorization } of seen) {
      expect(path).toBe('/v1/embeddings');
      expect(body).toMatchObject({ model: 'm', encoding_format: 'base64' });
      expect(authorization).toBeUndefined();
    }
    expect(await embedder.embed([], 'query')).toHaveLength(0);
    await embedder.close();
  });

  test('prefixes go before the texts, the key goes into the header', async () => {
    const url = await serve((asked) => good(asked));
    const prefixes = { query: 'query: ', passage: 'passage: ' };
    const embedder = await openServedEmbedder({ url, model: 'm' }, { prefixes, apiKey: 'secret' });
    await embedder.embed(['a'], 'query');
    await embedder.embed(['b'], 'passage');
    expect(seen.slice(1).map(({ body }) => body.input)).toEqual([['query: a'], ['passage: b']]);
    expect(seen.map(({ authorization }) => authorization)).toEqual(Array(3).fill('Bearer secret'));
    expect(JSON.stringify(embedder.info)).not.toContain('secret');
  });
});

describe('failures', () => {
  test('a busy server is asked again', async () => {
    const url = await serve((asked, call) => (call % 2 === 1 ? { status: 429, body: { error: {} } } : good(asked)));
    const embedder = await openServedEmbedder({ url, model: 'm' });
    expect(await embedder.embed(['oslo'], 'query')).toHaveLength(3);
    expect(seen).toHaveLength(4);
  });

  test.each<[string, (asked: Asked) => Answer, RegExp]>([
    ['a web page', () => ({ body: '<html>' }), /expected vectors, found something else/],
    ['too few', ({ input }) => good({ input: input.slice(1) } as Asked), /expected 2 vectors, found 1/],
    [
      'an index twice',
      () => ({ body: { data: [0, 0].map((index) => ({ index, embedding: [1, 2, 3] })) } }),
      /expected each index below 2 once, found 0/,
    ],
    [
      'an index too high',
      () => ({ body: { data: [0, 2].map((index) => ({ index, embedding: [1, 2, 3] })) } }),
      /expected each index below 2 once, found 2/,
    ],
    ['another dimension', (asked) => good(asked, () => [1, 2]), /expected vectors of dimension 3, found 2/],
    ['no numbers', (asked) => good(asked, () => ['x']), /expected vectors, found something else/],
    ['an unknown model', () => ({ status: 404, body: { error: { message: 'no such model' } } }), /404 no such model/],
    ['a wrong key', () => ({ status: 401, body: { error: { message: 'no' } } }), /401 no/],
  ])('%s', async (_name, answer, message) => {
    const url = await serve((asked, call) => (call === 1 ? good(asked) : answer(asked)));
    const embedder = await openServedEmbedder({ url, model: 'm' }, { retries: 0 });
    await expect(embedder.embed(['oslo', 'paris'], 'query')).rejects.toThrow(message);
  });

  test('a vector of zeros has no direction', async () => {
    const url = await serve((asked, call) => good(asked, call === 1 ? base64 : () => [0, 0, 0]));
    const embedder = await openServedEmbedder({ url, model: 'm' });
    await expect(embedder.embed(['oslo'], 'query')).rejects.toThrow('the vector of text 0 has the norm 0');
  });

  test('silence ends at the deadline, an abort at once, and so does closing', async () => {
    const url = await serve((asked, call) => (call === 1 ? good(asked) : undefined));
    const impatient = await openServedEmbedder({ url, model: 'm' }, { retries: 0, seconds: 0.05 });
    await expect(impatient.embed(['oslo'], 'query')).rejects.toThrow(/no answer .*timed out/i);
    seen.length = 0;
    const patient = await openServedEmbedder({ url, model: 'm' });
    const abort = new AbortController();
    const first = patient.embed(['oslo'], 'query', abort.signal);
    abort.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    const second = patient.embed(['oslo'], 'query');
    await patient.close();
    await expect(second).rejects.toThrow('the embedder is closed');
  });

  test('no server, and no model named', async () => {
    const url = await serve(() => undefined);
    server!.close();
    await expect(openServedEmbedder({ url, model: 'm' }, { retries: 0 })).rejects.toThrow(`${url}: no answer`);
    await expect(openEmbedder(url)).rejects.toThrow('which model?');
  });
});
