/** Requests that no client should send: each gets a status and a reason in OpenAI's shape, and the next one its answer. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chatProtocol } from './chat.ts';
import { mcpProtocol } from './mcp.ts';
import { type ScriptedAgent, scriptedAgent, served } from './testing/scripted-agent.ts';

let scripted: ScriptedAgent;
let servers: Awaited<ReturnType<typeof served>>[];
beforeAll(async () => {
  scripted = await scriptedAgent();
  servers = [await served(scripted.agent, chatProtocol()), await served(scripted.agent, mcpProtocol())];
});
afterAll(async () => {
  for (const server of servers) await server.close(0.1);
  await scripted.close();
});

const good = JSON.stringify({ model: 'scripted', messages: [{ role: 'user', content: 'who wrote Faust?' }] });
const pages = ['/v1/chat/completions', '/mcp'];
const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A request as it is, headers and all. */
function send(
  server: number,
  headers: Record<string, string>,
  body: string | Buffer,
  method = 'POST',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(`${servers[server]!.url}${pages[server]}`, { method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode!, body: text })).on('error', reject);
    });
    sent.on('error', reject).end(body);
  });
}

const port = (server: number) => new URL(servers[server]!.url).port;
const deep = (n: number) => `{"model":"scripted","messages":${'['.repeat(n)}${']'.repeat(n)}}`;
const requests: readonly [string, number, () => Record<string, string>, string | Buffer, string?][] = [
  ['another Host', 403, () => ({ ...json, host: 'elsewhere.example' }), good],
  ['another Host that begins like it', 403, () => ({ ...json, host: `127.0.0.1.elsewhere.example:${port(0)}` }), good],
  ['another Origin', 403, () => ({ ...json, origin: 'https://elsewhere.example' }), good],
  ['the Origin of another port', 403, () => ({ ...json, origin: 'http://127.0.0.1:1' }), good],
  ['no content type', 415, () => ({}), good],
  ['a form’s content type', 415, () => ({ 'content-type': 'text/plain' }), good],
  ['a packed body', 415, () => ({ ...json, 'content-encoding': 'gzip' }), good],
  ['no JSON', 400, () => json, '{"model":'],
  ['no body', 400, () => json, ''],
  ['bytes that are not UTF-8', 400, () => json, Buffer.from(good.replace('Faust', 'caf\u00e9'), 'latin1')],
  ['brackets a hundred thousand deep', 400, () => json, deep(100_000)],
  ['a million values', 400, () => json, `{"model":"scripted","messages":[${'0,'.repeat(400_000)}0]}`],
  ['more than a megabyte', 413, () => json, 'x'.repeat(2 ** 20 + 1)],
  ['an announced gigabyte', 413, () => ({ ...json, 'content-length': '1000000000' }), 'x'],
  ['GET', 405, () => json, '', 'GET'],
  ['PUT', 405, () => json, good, 'PUT'],
];

describe.each([0, 1])('server %i', (server) => {
  it.each(requests)('refuses %s with %i', async (_, status, headers, body, method) => {
    const answer = await send(server, headers(), body, method);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({
      error: { message: expect.stringMatching(/./), type: 'invalid_request_error' },
    });
    expect(answer.body.length).toBeLessThan(1000);
    expect(answer.body).not.toContain('    at ');
  });

  it.each(['/', '/v1', '/v1/', '/v1/chat', '/v1/chat/completions/x', '/v2/models', `/${'x'.repeat(10_000)}`, '/%'])(
    'knows no page %s',
    async (page) => {
      const answer = await fetch(servers[server]!.url + page, { method: 'POST' });
      expect([404, 405]).toContain(answer.status);
      expect((await answer.text()).length).toBeLessThan(1000);
    },
  );

  it('has a status for values of every wrong kind, in every field', async () => {
    const wrong = [
      'null',
      '-1',
      '1e400',
      '0.5',
      '""',
      '"\\ud800"',
      '"\\u0000"',
      '[]',
      '[[]]',
      '{}',
      '{"__proto__": 1}',
      'true',
    ];
    const long = JSON.stringify('x'.repeat(300_000));
    const asked = [
      '{"model": V, "messages": [{"role": "user", "content": "who wrote Faust?"}]}',
      '{"model": "scripted", "messages": V}',
      '{"model": "scripted", "messages": [V]}',
      '{"model": "scripted", "messages": [{"role": V, "content": V}]}',
      '{"model": "scripted", "messages": [{"role": "user", "content": V}]}',
      '{"model": "scripted", "messages": [{"role": "user", "content": [{"type": V, "text": V}]}]}',
      '{"jsonrpc": V, "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": {"question": "x"}}}',
      '{"jsonrpc": "2.0", "id": V, "method": V, "params": V}',
      '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": V, "arguments": V}}',
      '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": {"question": V, "temperature": V}}}',
      '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search", "arguments": {"query": V, "k": V}}}',
      'V',
    ];
    for (const form of asked)
      for (const value of [...wrong, long]) {
        const body = form.replaceAll('V', () => value);
        const { status, body: said } = await send(server, json, body);
        // What is right for one of the two servers is answered there; inside, nothing breaks.
        expect([form, value.slice(0, 20), status < 500], said).toEqual([form, value.slice(0, 20), true]);
        expect(said).not.toMatch(/ {4}at |node_modules|\.ts:\d/);
      }
  });

  it('answers others while clients send slowly, or nothing', async () => {
    const idle = Array.from({ length: 50 }, (_, i) => {
      const socket = connect(Number(port(server)), '127.0.0.1');
      socket.on('error', () => {});
      if (i % 2 === 0)
        socket.write(
          `POST ${pages[server]} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n{`,
        );
      return socket;
    });
    expect((await fetch(`${servers[server]!.url}/healthz`)).status).toBe(200);
    for (const socket of idle) socket.destroy();
  });
});

it('answers the next question after all of that', async () => {
  const answer = await send(0, json, good);
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.body)).toMatchObject({ choices: [{ message: { content: 'Goethe' } }] });
  expect(servers.map(({ desk }) => desk.load)).toEqual([
    { underWay: 0, waiting: 0 },
    { underWay: 0, waiting: 0 },
  ]);
});
