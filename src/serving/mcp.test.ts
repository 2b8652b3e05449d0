/** The tools as the protocol's own client sees them. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Desk } from './desk.ts';
import { mcpProtocol, mcpServer } from './mcp.ts';
import { type ScriptedAgent, scriptedAgent, served } from './testing/scripted-agent.ts';

let shared: ScriptedAgent;
beforeAll(async () => {
  shared = await scriptedAgent();
});
afterAll(() => shared.close());

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function overMemory(): Promise<Client> {
  const desk = new Desk(shared.agent, { concurrency: 4, waiting: 4, seconds: 30 });
  const [here, there] = InMemoryTransport.createLinkedPair();
  const server = mcpServer(desk);
  await server.connect(there);
  return connected(here);
}

async function overHttp(): Promise<Client> {
  const server = await served(shared.agent, mcpProtocol());
  open.push({ close: () => server.close(0.1) });
  return connected(new StreamableHTTPClientTransport(new URL(`${server.url}/mcp`)) as never);
}

async function connected(transport: InMemoryTransport): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(transport);
  open.push(client);
  return client;
}

describe.each([
  ['in memory', overMemory],
  ['over HTTP', overHttp],
])('an agent as tools, %s', (_, connect) => {
  it('says what it has', async () => {
    const client = await connect();
    expect(client.getServerVersion()).toMatchObject({ name: 'search-e1' });
    const { tools } = await client.listTools();
    expect(tools.map(({ name, inputSchema }) => [name, inputSchema.required])).toEqual([
      ['ask', ['question']],
      ['search', ['query']],
    ]);
  });

  it('answers a question, with what was read, and tells of its searches', async () => {
    const client = await connect();
    const seen: (string | undefined)[] = [];
    const answer = await client.callTool(
      { name: 'ask', arguments: { question: 'who wrote Faust?', return_passages: true } },
      undefined,
      { onprogress: ({ message }) => seen.push(message) },
    );
    expect(answer.content).toEqual([{ type: 'text', text: 'Goethe' }]);
    expect(answer.structuredContent).toMatchObject({
      answer: 'Goethe',
      searches: ['author of Faust'],
      stop: 'answered',
      citations: [{ id: 'p1', text: 'Faust is a play by Goethe.' }, { id: 'p2' }],
    });
    expect(seen).toEqual(['Search: author of Faust']);
  });

  it('searches', async () => {
    const client = await connect();
    const found = await client.callTool({ name: 'search', arguments: { query: 'play by Goethe', k: 1 } });
    expect(found.structuredContent).toEqual({
      passages: [{ id: 'p1', title: 'Faust', text: 'Faust is a play by Goethe.', score: expect.any(Number) }],
    });
    expect(found.content).toEqual([{ type: 'text', text: '1. Faust\nFaust is a play by Goethe.' }]);
  });

  it.each([
    ['ask', {}, /question/],
    ['ask', { question: ' ' }, /question/],
    ['ask', { question: 'x'.repeat(10_001) }, /question/],
    ['ask', { question: 'why?', temperature: 'warm' }, /temperature/],
    ['search', { query: 'x', k: 1000 }, /k/],
    ['no-such-tool', {}, /no-such-tool/],
  ])('refuses %s %o', async (name, args, message) => {
    const client = await connect();
    const refused = await client.callTool({ name, arguments: args }).catch((error: unknown) => ({
      isError: true,
      content: [{ text: String(error) }],
    }));
    expect(refused.isError).toBe(true);
    expect(JSON.stringify(refused.content)).toMatch(message);
  });
});

it('tells a caller of failures inside no more than that', async () => {
  const broken = await scriptedAgent(() => ({ fault: 'status', status: 404, message: 'no such adapter' }));
  open.push(broken);
  const server = await served(broken.agent, mcpProtocol());
  open.push({ close: () => server.close(0.1) });
  const client = await connected(new StreamableHTTPClientTransport(new URL(`${server.url}/mcp`)) as never);
  const answer = await client.callTool({ name: 'ask', arguments: { question: 'why?' } });
  expect(answer).toMatchObject({ isError: true, content: [{ type: 'text', text: 'no answer: sample-failed' }] });
});

it('frees the place of a caller that leaves', async () => {
  const silent = await scriptedAgent(() => ({ fault: 'silence' }));
  open.push(silent);
  const server = await served(silent.agent, mcpProtocol(), { concurrency: 1, waiting: 0 });
  open.push({ close: () => server.close(0.1) });
  const client = await connected(new StreamableHTTPClientTransport(new URL(`${server.url}/mcp`)) as never);
  const asking = client.callTool({ name: 'ask', arguments: { question: 'why?' } }).catch(() => {});
  while (server.desk.load.underWay === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const busy = await client.callTool({ name: 'ask', arguments: { question: 'why?' } });
  expect(busy).toMatchObject({ isError: true, content: [{ text: expect.stringContaining('too many questions') }] });
  await client.close();
  await asking;
  while (server.desk.load.underWay > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});
