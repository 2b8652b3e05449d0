/** The real command in processes of its own: started, asked, killed in the middle of rollouts, stopped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bm25Index } from '../retrieval/bm25.ts';
import { openHttpRetriever } from '../retrieval/http/client.ts';
import { groupTasks, rollOut } from '../rollout/rollouts.ts';
import { around, inTurns, question } from '../rollout/testing/environment.ts';
import { capture } from './testing/capture.ts';

const passages = Array.from({ length: 40 }, (_, i) => ({
  id: `p${i}`,
  title: `thing ${i}`,
  text: `all about thing ${i} and egg ${i % 6}`,
}));

let folder: string;
let corpus: string;
const children: ChildProcess[] = [];
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'serve-'));
  corpus = path.join(folder, 'corpus.jsonl');
  await writeFile(corpus, passages.map((passage) => JSON.stringify(passage)).join('\n'));
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

async function start(port: number): Promise<{ child: ChildProcess; url: string; output: Promise<string> }> {
  const argv = ['bin/search-e1.js', 'serve-retriever', corpus, '--port', String(port), '--json'];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const errors = text(child.stderr);
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (line) => resolve((JSON.parse(String(line)) as { url: string }).url));
    child.once('exit', async () => reject(new Error(await errors)));
  });
  return { child, url, output: errors };
}

describe('search-e1 serve-retriever', () => {
  it('loses no rollout when it is killed and started again in the middle of them', async () => {
    const script = inTurns('<search> thing 3 </search>', '<search> egg 5 </search>', '<answer> gold </answer>');
    const tasks = groupTasks(
      Array.from({ length: 8 }, (_, i) => question(`q${i}`)),
      3,
      { seed: 1, stage: 'test', step: 0 },
    );
    const expected = await rollOut(tasks, around(script, { retriever: new Bm25Index(passages) }));

    const first = await start(0);
    const port = Number(new URL(first.url).port);
    const retriever = await openHttpRetriever(first.url, { firstWait: 0.05, batch: 4 });
    let searches = 0;
    let restarted: Promise<unknown> = Promise.resolve();
    const dying: typeof retriever.search = async (...query) => {
      searches += 1;
      // The third call is under way when the process is killed.
      if (searches === 3) {
        first.child.kill('SIGKILL');
        restarted = new Promise((again) => setTimeout(() => again(start(port)), 300));
      }
      return retriever.search(...query);
    };
    const trajectories = await rollOut(tasks, around(script, { retriever: { search: dying } }), { concurrency: 6 });
    await restarted;
    expect(trajectories.map(({ stop }) => stop)).toEqual(tasks.map(() => 'answered'));
    // Sessions are named at random; everything else is the same as with the index in this process.
    expect(trajectories).toEqual(expected);
    expect(searches).toBeGreaterThan(3);
  });

  it('stops at SIGTERM with exit code 0', async () => {
    const { child, url, output } = await start(0);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const code = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    expect(await code).toBe(0);
    expect(await output).toBe('');
  });

  it.each([
    [['nowhere'], /nowhere: no such file/],
    [[], /missing required argument 'source'/],
    [['x', '--port', 'y'], /whole number from 0 to 65535/],
  ])('%j is refused', async (argv, message) => {
    const { code, err } = await capture('serve-retriever', ...argv);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});
