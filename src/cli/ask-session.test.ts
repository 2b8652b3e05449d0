/** `search-e1 ask` at a terminal and on standard input, in this process. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type ScriptedServer, scriptedServer } from '../engines/openai/testing/scripted-server.ts';
import { capture, captureStopped } from './testing/capture.ts';
import { CTRL_C, fakeTerminal } from './testing/terminal.ts';

let folder: string;
let server: ScriptedServer;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'session-'));
  await writeFile(path.join(folder, 'passages.jsonl'), '{"id":"1","title":"Faust","text":"A play by Goethe."}\n');
  server = await scriptedServer(({ messages }) =>
    messages[0]!.content.includes('slow')
      ? { fault: 'drip', text: `<think> ${'hm '.repeat(1000)}</think>`, milliseconds: 20 }
      : '<answer> Goethe </answer>',
  );
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

it('a session: Ctrl-C stops an answer, clears a line that was begun, and Ctrl-D ends it', async () => {
  const terminal = fakeTerminal(['a slow one\r', `who wro${CTRL_C}who wrote Faust?\r`]);
  const argv = ['ask', '--policy', server.url, '--retriever', path.join(folder, 'passages.jsonl')];
  const { code, out, err } = await captureStopped(/hm/, ...argv).finally(() => terminal.restore());
  expect([code, err]).toEqual([0, '']);
  expect(out).toContain(
    'scripted, searching 1 passage\n/help lists what else can be typed. Ctrl-C stops an answer, Ctrl-D ends the session.\n',
  );
  expect(out).toMatch(/think {4}hm.*\nstopped\n/s);
  expect(out).toMatch(/answer {3}Goethe\n/);
  // The half-typed line was not asked.
  expect(server.asked.map(({ prompt }) => /slow|wro.*/.exec(prompt)?.[0])).toEqual(['slow', 'wrote Faust?']);
  expect(process.listenerCount('SIGINT')).toBe(0);
});

it('a session: help, the passages that were read, a word that is no question, and the end', async () => {
  const terminal = fakeTerminal([
    '/passages\r',
    '/help\r',
    '/x\r',
    "what is person firo fuzir 's birthplace ?\r",
    '/passages\r',
    'exit\r',
    'no\r',
  ]);
  const { code, out, err } = await capture('ask').finally(() => terminal.restore());
  expect([code, err]).toEqual([0, '']);
  expect(out).toContain('Nothing was asked yet.');
  expect(out.split('There is no /x. A line is a question.')).toHaveLength(2);
  expect(out).toMatch(/right {4}gold answer: zavan zezul\n/);
  // The passage's own words, which the titles alone do not show.
  const read = out.slice(out.indexOf('gold answer'));
  expect(read).toMatch(/firo fuzir birthplace\n.*native of zavan zezul/is);
  expect(read).not.toContain('no word for');
});

it('with nothing on standard input, suggests a question that this policy can answer', async () => {
  const input = vi.spyOn(process, 'stdin', 'get').mockImplementation(() => new PassThrough().end() as never);
  try {
    const { code, err } = await capture('ask');
    expect(code).toBe(2);
    const [, suggested] = /standard input is empty\nFor example: search-e1 ask "(.+)"\n$/.exec(err) ?? [];
    expect(await capture('ask', suggested!)).toMatchObject({ code: 0, out: expect.stringMatching(/^answer {3}\w/m) });
    const served = await capture('ask', '--policy', server.url, '--retriever', path.join(folder, 'passages.jsonl'));
    expect(served.err).toContain('For example: search-e1 ask "who wrote Faust?"');
  } finally {
    input.mockRestore();
  }
});
