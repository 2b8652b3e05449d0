import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { UserError } from '../../base/errors.ts';
import type { TextRequest } from '../../policy/text-model.ts';
import { parseAddress } from './address.ts';
import { openServedModel, type ServedModelSettings } from './served-model.ts';
import { type Reply, type Script, type ScriptedServerOptions, scriptedServer } from './testing/scripted-server.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function serve(script: Script, settings: Partial<ServedModelSettings> = {}, options: ScriptedServerOptions = {}) {
  const server = await scriptedServer(script, options);
  const model = await openServedModel(parseAddress(server.url), settings);
  open.push(server, model);
  return { server, model };
}

const request: TextRequest = {
  prompt: [{ role: 'user', content: 'who wrote it ?' }],
  maxTokens: 50,
  temperature: 0,
  stop: ['</search>', '</answer>'],
  seed: 7,
};
const turn = '<think> hm </think> <search> a b </search> and more';
const whole = '<think> hm </think> <search> a b </search>';

describe('a served model', () => {
  it('asks a chat for a turn and puts the dropped stop string back', async () => {
    const { server, model } = await serve(() => turn);
    const pieces: string[] = [];
    const reply = await model.complete({ ...request, onText: (piece) => pieces.push(piece) });
    expect(reply).toEqual({ text: whole, finish: 'stop', promptTokens: 4, newTokens: 7 });
    expect(pieces.join('')).toBe(whole);
    expect(pieces.length).toBeGreaterThan(3);
    expect(server.asked[0]!.body).toEqual({
      model: 'scripted',
      messages: request.prompt,
      max_tokens: 50,
      temperature: 0,
      top_p: 1,
      seed: 7,
      stop: request.stop,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(model.info).toEqual({ engine: 'openai', name: 'scripted', weights: null, deterministic: false });
  });

  it('continues a raw prompt as it stands', async () => {
    const { server, model } = await serve(() => turn);
    const reply = await model.complete({ ...request, prompt: 'once upon', topP: 0.9, stop: [] });
    expect(reply).toMatchObject({ text: turn, finish: 'stop' });
    expect(server.asked[0]).toMatchObject({ prompt: 'once upon', body: { prompt: 'once upon', top_p: 0.9 } });
    expect(server.asked[0]!.body).not.toHaveProperty('stop');
    expect(server.asked[0]!.body).not.toHaveProperty('messages');
  });

  it.each(['stop_reason', 'matched_stop', 'nothing'] as const)(
    'restores the stop string of a server that tells %s',
    async (tells) => {
      const { model } = await serve(({ prompt }) => prompt, {}, { tells });
      const written = async (content: string) =>
        (await model.complete({ ...request, prompt: [{ role: 'user', content }] })).text;
      expect(await written(turn)).toBe(whole);
      expect(await written('I do not know')).toBe('I do not know');
      // The model's own end within a tag: known where the server says so, else taken for the tag's end.
      expect(await written('<answer> x')).toBe(tells === 'nothing' ? '<answer> x</answer>' : '<answer> x');
    },
  );

  it('cuts at a stop string that the server sends along, or does not know, and hangs up', async () => {
    // `stop` is taken out of the request's way by a server that reads other fields only.
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const say = (content: string) =>
        response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`);
      for (const piece of ['<answer> Lis', 'bon </ans', 'wer> tail', ' more']) say(piece);
      const chatter = setInterval(() => say(' and on'), 5);
      response.on('close', () => clearInterval(chatter));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push({ close: async () => void server.close() });
    const model = await openServedModel({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      model: 'm',
    });
    const pieces: string[] = [];
    const reply = await model.complete({ ...request, onText: (piece) => pieces.push(piece) });
    expect(reply).toEqual({ text: '<answer> Lisbon </answer>', finish: 'stop', promptTokens: null, newTokens: null });
    expect(pieces.join('')).toBe(reply.text);
  });

  it('says when the limit was reached, and when the server does not count', async () => {
    const { model } = await serve(() => turn, {}, { usage: false });
    const reply = await model.complete({ ...request, maxTokens: 2 });
    expect(reply).toEqual({ text: '<think> hm', finish: 'length', promptTokens: null, newTokens: null });
  });

  it('keeps thinking apart that the server keeps apart', async () => {
    const { model } = await serve(() => ({ reasoning: 'say <search> no </search>', text: '<answer> x </answer>' }));
    const thoughts: string[] = [];
    const reply = await model.complete({ ...request, onReasoning: (piece) => thoughts.push(piece) });
    expect(reply).toMatchObject({ text: '<answer> x </answer>', reasoning: 'say <search> no </search>' });
    expect(thoughts.join('')).toBe('say <search> no </search>');
  });

  const once =
    (fault: Reply): Script =>
    ({ attempt }) =>
      attempt === 0 ? fault : turn;
  const text = '<answer> wro';
  const mended: [string, Reply][] = [
    ['429 with Retry-After', { fault: 'status', status: 429, retryAfter: 0 }],
    ['500', { fault: 'status', status: 500, retryAfter: 0 }],
    ['503', { fault: 'status', status: 503, retryAfter: 0 }],
    ['a cut connection', { fault: 'cut', text }],
    ['a connection cut before any text', { fault: 'cut', text: '' }],
    ['a stream that ends unfinished', { fault: 'unfinished', text }],
    ['malformed JSON', { fault: 'malformed', text }],
    ['JSON of another form', { fault: 'shape', text }],
    ['an error in the stream', { fault: 'error-event', text }],
    ['empty choices', { fault: 'empty-choices' }],
    ['an end by content_filter', { text, finish: 'content_filter' }],
    ['silence', { fault: 'silence' }],
    ['silence in the middle', { fault: 'drip', text: 'a b c d', milliseconds: 2000 }],
  ];
  it.concurrent.each(mended)('asks again after %s', async (_, fault) => {
    const server = await scriptedServer(once(fault));
    const model = await openServedModel(parseAddress(server.url), { silenceSeconds: 1 });
    const reply = await model.complete(request).finally(() => server.close());
    expect(reply).toEqual({ text: whole, finish: 'stop', promptTokens: 4, newTokens: 7 });
    expect(server.asked).toHaveLength(2);
  });

  it.concurrent.each(mended)('fails in the end when it is always %s', async (_, fault) => {
    const server = await scriptedServer(() => fault);
    const named = { ...parseAddress(server.url), model: 'scripted' };
    const model = await openServedModel(named, { silenceSeconds: 0.3, retries: 1 });
    const error = await model.complete(request).catch((thrown: unknown) => thrown);
    await server.close();
    expect(error).toBeInstanceOf(UserError);
    expect(String(error)).toContain(server.url);
    expect(server.asked).toHaveLength(2);
  });

  it('does not tell a broken reply twice to somebody who reads along', async () => {
    const { model, server } = await serve(once({ fault: 'cut', text }));
    const pieces: string[] = [];
    await expect(model.complete({ ...request, onText: (piece) => pieces.push(piece) })).rejects.toThrow(
      /broken reply: /,
    );
    expect(pieces.join('')).toBe(text);
    expect(server.asked).toHaveLength(1);
  });

  it.each([
    ['a web page', { fault: 'content-type' }, /answered with text\/html, expected text\/event-stream: .*Sign in/],
    ['401', { fault: 'status', status: 401, message: 'wrong key k-123' }, /401 wrong key …/],
    ['404', { fault: 'status', status: 404, message: 'no such model' }, /404 no such model/],
  ] as [string, Reply, RegExp][])('does not ask again after %s', async (_, fault, message) => {
    const { model, server } = await serve(() => fault, { apiKey: 'k-123' });
    await expect(model.complete(request)).rejects.toThrow(message);
    expect(server.asked).toHaveLength(1);
  });

  it('sends its key, or no key at all', async () => {
    const keyed = await serve(() => 'x', { apiKey: 'k-123' });
    await keyed.model.complete(request);
    expect(keyed.server.asked[0]!.authorization).toBe('Bearer k-123');
    const keyless = await serve(() => 'x');
    await keyless.model.complete(request);
    expect(keyless.server.asked[0]!.authorization).toBeUndefined();
    expect(JSON.stringify([keyed.model, keyed.model.info])).not.toContain('k-123');
  });

  it('has a deadline for the whole, however slowly the server drips', async () => {
    const { model } = await serve(() => ({ fault: 'drip', text: 'a b c d e f g h i j k', milliseconds: 50 }), {
      totalSeconds: 0.2,
    });
    await expect(model.complete(request)).rejects.toThrow(/no whole reply within 0.2 s/);
  });

  it('keeps to its limit of requests at a time', async () => {
    const { model, server } = await serve(
      async ({ prompt }) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        return prompt;
      },
      { concurrency: 3 },
    );
    const texts = Array.from({ length: 10 }, (_, i) => `text ${i}`);
    const replies = await Promise.all(texts.map((prompt) => model.complete({ ...request, prompt })));
    expect(replies.map((reply) => reply.text)).toEqual(texts);
    expect(server.mostOpen).toBe(3);
  });

  it('stops at once when it is aborted, whether asking or waiting for its turn', async () => {
    const { model, server } = await serve(() => ({ fault: 'silence' }), { concurrency: 1 });
    const controller = new AbortController();
    const both = [model.complete(request, controller.signal), model.complete(request, controller.signal)];
    setTimeout(() => controller.abort(new Error('enough')), 50);
    for (const each of await Promise.allSettled(both)) expect(each).toMatchObject({ reason: { message: 'enough' } });
    expect(server.asked).toHaveLength(1);
  });
});

describe('opening a served model', () => {
  it('says when no server is there', async () => {
    const server = await scriptedServer(() => 'x');
    await server.close();
    const opening = openServedModel(parseAddress(server.url));
    await expect(opening).rejects.toThrow(/no connection \(connect ECONNREFUSED 127\.0\.0\.1/);
    await expect(opening).rejects.toMatchObject({ hint: expect.stringContaining('Is the server running') });
  });

  it('wants a name where several models are served', async () => {
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ object: 'list', data: [{ id: 'a' }, { id: 'b' }] }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push({ close: async () => void server.close() });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const opening = openServedModel(parseAddress(url));
    await expect(opening).rejects.toThrow(/serves 2 models and the address names none/);
    await expect(opening).rejects.toMatchObject({ hint: `Name it, e.g. ${url}#a` });
  });
});
