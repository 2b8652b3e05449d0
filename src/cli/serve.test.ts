/** The real commands in processes of their own; and the same question by every way there is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import OpenAI from 'openai';
import { afterAll, describe, expect, it } from 'vitest';
import { openAgent } from '../evaluation/agent.ts';
import { capture } from './testing/capture.ts';

const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

const questions = ["what is person firo fuzir 's birthplace ?", "What is person firo fuzir's spouse's birthplace?"];

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  readonly errors: Promise<string>;
}

/** Starts a server; its address is in its first line, on whichever stream. */
async function start(name: 'serve' | 'mcp', args: readonly string[], environment = {}): Promise<Started> {
  const child = spawn(process.execPath, ['bin/search-e1.js', name, '--port', '0', '--threads', '1', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  children.push(child);
  const errors = text(child.stderr);
  const url = await new Promise<string>((resolve, reject) => {
    const see = (line: Buffer) => {
      const [found] = /http:\/\/[\w.:/[\]-]+/.exec(String(line)) ?? [];
      if (found !== undefined) resolve(found);
    };
    child.stdout.on('data', see);
    child.stderr.on('data', see);
    child.once('exit', async () => reject(new Error(await errors)));
  });
  return { child, url, errors };
}

async function stop({ child, errors }: Started): Promise<{ code: number | null; errors: string }> {
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  return { code: await ended, errors: await errors };
}

async function tool(client: Client, question: string): Promise<unknown> {
  const { structuredContent } = await client.callTool({ name: 'ask', arguments: { question } });
  return (structuredContent as { answer: unknown }).answer;
}

it('the same question has the same greedy answer by ask, serve, mcp and the library', async () => {
  const [served, overHttp] = await Promise.all([start('serve', ['--json']), start('mcp', ['--http'])]);
  const agent = await openAgent({ threads: 1 });
  const stdio = new Client({ name: 'test', version: '1' });
  await stdio.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: ['bin/search-e1.js', 'mcp', '--threads', '1'],
      stderr: 'ignore',
    }),
  );
  const http = new Client({ name: 'test', version: '1' });
  await http.connect(new StreamableHTTPClientTransport(new URL(overHttp.url)) as never);
  const openai = new OpenAI({ baseURL: served.url, apiKey: 'none', maxRetries: 0 });
  const byOpenAi = async (question: string) => {
    const messages = [{ role: 'user', content: question }] as const;
    return (await openai.chat.completions.create({ model: 'base', messages: [...messages] })).choices[0]!.message
      .content;
  };
  try {
    for (const question of questions) {
      const asked = JSON.parse((await capture('ask', question, '--threads', '1', '--json')).out) as { answer: string };
      expect(asked.answer).toMatch(/^\w+ \w+$/);
      // Beside others of its kind, too: what shares a batch changes nothing.
      const [first, ...others] = await Promise.all([question, ...questions, ...questions].map(byOpenAi));
      expect(first).toBe(asked.answer);
      expect(others).toContain(asked.answer);
      expect(await tool(stdio, question)).toBe(asked.answer);
      expect(await tool(http, question)).toBe(asked.answer);
      expect((await agent.ask(question)).answer).toBe(asked.answer);
    }
  } finally {
    await Promise.all([stdio.close(), http.close(), agent.close()]);
  }
  const ends = await Promise.all([stop(served), stop(overHttp)]);
  expect(ends.map(({ code }) => code)).toEqual([0, 0]);
  // Nothing of a question or an answer stands in what they said.
  for (const { errors } of ends) expect(errors).not.toMatch(/firo|fuzir/);
  expect(ends[1]!.errors).toMatch(/stopped; requests since then: 0 answered, 0 cut off\n$/);
});

describe('search-e1 serve', () => {
  it('wants the keys that it was given, and logs texts where that was asked for', async () => {
    const served = await start('serve', ['--json', '--keys-env', 'KEYS', '--log-texts'], { KEYS: 'one, two' });
    const body = JSON.stringify({ model: 'base', messages: [{ role: 'user', content: questions[0] }] });
    const ask = (key: string) =>
      fetch(`${served.url}/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
        body,
      });
    expect((await ask('three')).status).toBe(401);
    expect((await ask('two')).status).toBe(200);
    const { code, errors } = await stop(served);
    expect(code).toBe(0);
    const lines = errors
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toEqual([
      expect.objectContaining({ method: 'POST', path: '/v1/chat/completions', status: 401 }),
      expect.objectContaining({ question: questions[0], answer: 'zavan zezul' }),
      expect.objectContaining({ status: 200, seconds: expect.any(Number) }),
    ]);
    expect(errors).not.toMatch(/three|one|two/);
  });

  it.each([
    ['a variable that is not set', ['--keys-env', 'NO_SUCH_KEYS'], /--keys-env NO_SUCH_KEYS: this variable is not set/],
    ['a policy that is nowhere', ['--policy', 'nowhere'], /there is no directory nowhere/],
    ['an address of elsewhere', ['--host', '192.0.2.1'], /192\.0\.2\.1:8080: cannot listen there/],
    ['a queue that is none', ['--queue', '-1'], /whole number/],
  ])('refuses %s', async (_, args, message) => {
    const { code, err } = await capture('serve', ...args);
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
  });
});
