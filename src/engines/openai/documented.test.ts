/** Replies and refusals in the forms that servers are documented to send. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { UserError } from '../../base/errors.ts';
import type { TextRequest } from '../../policy/text-model.ts';
import { openServedModel, type ServedModelSettings } from './served-model.ts';
import { documentedRefusals, documentedReplies } from './testing/documented-replies.ts';

interface Sent {
  readonly status?: number;
  readonly type?: string | null;
  readonly body: string;
}
type Body = Readonly<Record<string, unknown>>;

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

/** A model behind a server that sends just this. */
async function behind(answer: (body: Body, call: number) => Sent, settings: Partial<ServedModelSettings> = {}) {
  const asked: Body[] = [];
  const server = createServer(async (request, response) => {
    if (request.method === 'GET') return void response.end('{"data":[]}');
    let text = '';
    for await (const part of request) text += part;
    asked.push(JSON.parse(text));
    const { status = 200, type = 'text/event-stream; charset=utf-8', body } = answer(asked.at(-1)!, asked.length - 1);
    response.writeHead(status, type === null ? {} : { 'content-type': type }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({ close: async () => void server.close() });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  return { model: await openServedModel({ url, model: 'm' }, { retries: 0, ...settings }), asked, url };
}

const request: TextRequest = {
  prompt: [{ role: 'user', content: 'which city?' }],
  maxTokens: 500,
  temperature: 0,
  stop: ['</search>', '</answer>'],
  seed: 7,
};
const json = (status: number, body: unknown): Sent => ({
  status,
  type: 'application/json',
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const lisbon = documentedReplies[0]!;

describe('a documented reply is read', () => {
  it.each(documentedReplies)('$server', async ({ reply, ...sent }) => {
    const { model } = await behind(() => sent);
    const [said, thought]: [string[], string[]] = [[], []];
    const asked = { ...request, onText: (p: string) => said.push(p), onReasoning: (p: string) => thought.push(p) };
    expect(await model.complete(asked)).toEqual(reply);
    expect([said.join(''), thought.join('')]).toEqual([reply.text, reply.reasoning ?? '']);
  });

  it.each(['content_filter', 'tool_calls', 'function_call', 'abort', 'error', 'insufficient_system_resource'])(
    'but not one that ended by %s',
    async (reason) => {
      const body = lisbon.body.replace('"finish_reason":"stop"', `"finish_reason":"${reason}"`);
      const { model } = await behind(() => ({ body }));
      await expect(model.complete(request)).rejects.toThrow(`broken reply: the reply was ended by "${reason}"`);
    },
  );
});

describe('a documented refusal', () => {
  it.each(documentedRefusals.filter(({ left }) => left !== undefined))(
    'is met by asking for what is left: $server',
    async ({ status, body, left }) => {
      const { model, asked } = await behind(({ max_tokens }) =>
        Number(max_tokens) > left! ? json(status, body) : lisbon,
      );
      expect(await model.complete(request)).toEqual(lisbon.reply);
      expect(asked.map(({ max_tokens }) => max_tokens)).toEqual([500, left]);
    },
  );

  it.each(documentedRefusals)(
    'is a failure in the server’s words when nothing is accepted: $server',
    async ({ status, body }) => {
      const { model, asked, url } = await behind(() => json(status, body));
      const failure = await model.complete(request).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(UserError);
      const words =
        typeof body === 'string' ? body : /"(?:message|error)":"([^"]{20,60})/.exec(JSON.stringify(body))![1]!;
      expect(String(failure)).toContain(words.replaceAll('\\"', '"'));
      expect(String(failure)).toContain(`${url}: ${status} `);
      // Asked with a small limit before that, so that nothing was refused for the length of the reply.
      expect(Math.min(...asked.map(({ max_tokens }) => Number(max_tokens)))).toBeLessThanOrEqual(16);
    },
  );

  it('of unknown words is met by halves of the limit', async () => {
    const { model, asked } = await behind(({ max_tokens }) =>
      Number(max_tokens) > 100 ? json(400, 'zu viel') : lisbon,
    );
    expect(await model.complete(request)).toEqual(lisbon.reply);
    expect(asked.map(({ max_tokens }) => max_tokens)).toEqual([500, 250, 125, 62]);
  });
});

describe('an optional field that a server refuses', () => {
  const refusals: readonly [string, number, unknown][] = [
    [
      'seed',
      422,
      { detail: [{ type: 'extra_forbidden', loc: ['body', 'seed'], msg: 'Extra inputs are not permitted', input: 7 }] },
    ],
    [
      'seed',
      422,
      {
        object: 'error',
        message: {
          detail: [{ type: 'extra_forbidden', loc: ['body', 'seed'], msg: 'Extra inputs are not permitted' }],
        },
        type: 'invalid_request_error',
      },
    ],
    ['stream_options', 400, { error: { message: 'Unknown field: stream_options', type: 'invalid_request_error' } }],
    ['top_p', 400, { error: { message: 'top_p: unsupported', param: 'top_p' } }],
    [
      'stop',
      400,
      { error: { message: "Unsupported parameter: 'stop' is not supported with this model.", param: 'stop' } },
    ],
    [
      'max_tokens',
      400,
      {
        error: {
          message:
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
          type: 'invalid_request_error',
          param: 'max_tokens',
          code: 'unsupported_parameter',
        },
      },
    ],
  ];
  it.each(refusals)('is left out from then on, and that is recorded: %s, %i', async (field, status, body) => {
    const { model, asked } = await behind((sent) => (field in sent ? json(status, body) : lisbon));
    for (let i = 0; i < 2; i++) expect(await model.complete(request)).toEqual({ ...lisbon.reply, leftOut: [field] });
    expect(asked.map((sent) => field in sent)).toEqual([true, false, false]);
    if (field === 'max_tokens') expect(asked[1]).toMatchObject({ max_completion_tokens: 500 });
  });

  it('is one of several', async () => {
    const { model, asked } = await behind((sent) =>
      'seed' in sent
        ? json(400, 'unknown field seed')
        : 'stream_options' in sent
          ? json(400, 'stream_options?')
          : lisbon,
    );
    const replies = await Promise.all([model.complete(request), model.complete(request), model.complete(request)]);
    expect(replies.map(({ leftOut }) => leftOut)).toEqual(Array.from({ length: 3 }, () => ['seed', 'stream_options']));
    const before = asked.length;
    await model.complete(request);
    expect(asked.length).toBe(before + 1);
  });

  it.each([
    ['temperature', { temperature: 0 }],
    ['top_p', { topP: 0.5 }],
    ['model', {}],
  ])('is not left out where the reply would be another: %s', async (field, changes) => {
    const { model, asked } = await behind(() =>
      json(400, { error: { message: `${field}: unsupported`, param: field } }),
    );
    await expect(model.complete({ ...request, ...changes })).rejects.toThrow(`400 ${field}: unsupported`);
    expect(asked.every((sent) => field in sent)).toBe(true);
  });
});

describe('an answer that is no reply', () => {
  const words = 'Unexpected endpoint or method. (POST /v1/chat/completions)';
  const wrong: readonly [string, Sent][] = [
    ['an error as JSON', json(200, { error: words })],
    ['an error with a message', json(200, { error: { message: words } })],
    ['a detail', json(200, { detail: words })],
    ['a web page', { type: 'text/html', body: `<html><body>${words}</body></html>` }],
    ['plain text', { type: 'text/plain', body: words }],
    ['no content type', { type: null, body: words }],
  ];
  it.each(wrong)('is a failure in the server’s words: %s', async (_, sent) => {
    const { model, asked } = await behind(() => sent, { retries: 3 });
    const failure = await model.complete(request).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      message: expect.stringContaining(words),
      hint: expect.stringMatching(/ends in \/v1/),
    });
    expect(asked).toHaveLength(1);
  });

  it('gives a hint when the path is wrong', async () => {
    const { model, url } = await behind(() => json(404, { detail: 'Not Found' }));
    await expect(model.complete(request)).rejects.toMatchObject({
      message: `${url}: 404 {"detail":"Not Found"}`,
      hint: expect.stringContaining('usually ends in /v1'),
    });
  });

  it('does not fill the memory', async () => {
    const { model } = await behind(() => ({ type: 'text/html', body: 'x'.repeat(3_000_000) }));
    const failure = await model.complete(request).catch((error: unknown) => error);
    expect((failure as Error).message.length).toBeLessThan(700);
    const long = `data: ${JSON.stringify({ choices: [{ delta: { content: 'y'.repeat(200_000) } }] })}\n\n`;
    const endless = await behind(() => ({ body: long.repeat(25) }));
    await expect(endless.model.complete(request)).rejects.toThrow('a reply of more than 4,000,000 characters');
  });
});

describe('the key', () => {
  const key = 'sk-abcdefghijklmnop';
  const repeats: readonly [string, Sent][] = [
    ['the content type', { type: `text/${key}`, body: 'x' }],
    ['an error', json(401, { error: { message: `wrong key ${key}` } })],
    [
      'an error, encoded',
      json(403, { error: { message: `header Basic ${Buffer.from(`user:${key}`).toString('base64')}` } }),
    ],
    ['a refusal', json(400, { error: { message: `seed: not for ${key}` } })],
    ['an event', { body: `data: {"error":{"message":"no room for ${key}"}}\n\n` }],
    ['a reason', { body: `data: {"choices":[{"delta":{},"finish_reason":"${key}"}]}\n\n` }],
    ['a web page', { type: 'text/html', body: `<p>${encodeURIComponent(key)}</p>` }],
  ];
  it.each(repeats)('is not in the failure, though the server repeats it in %s', async (_, sent) => {
    const { model } = await behind(() => sent, { apiKey: key });
    const failure = await model.complete(request).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    expect(String(failure)).toContain('…');
    expect(String(failure)).not.toContain(key);
    expect(String(failure)).not.toContain(Buffer.from(key).toString('base64').slice(4, 16));
  });

  it('nor are control characters', async () => {
    const { model } = await behind(() => json(401, { error: { message: 'a\u001b]52;c;aGk=\u0007b' } }));
    await expect(model.complete(request)).rejects.toThrow('401 a ]52;c;aGk= b');
  });
});
