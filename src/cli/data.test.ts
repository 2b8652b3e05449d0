import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type FakeHub, startFakeHub } from '../base/testing/hub-server.ts';
import { capture } from './testing/capture.ts';

const question = (i: number) => JSON.stringify({ id: `test_${i}`, question: `who ${i % 124}?`, golden_answers: ['x'] });
/** 125 questions, one text twice. */
const bamboogle = Buffer.from(`${Array.from({ length: 125 }, (_, i) => question(i)).join('\n')}\n`);
const nq = Buffer.from(`${question(0)}\n${question(1)}\n`);

let folder: string;
let hub: FakeHub;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'data-'));
  const flashRag = 'datasets/RUC-NLPIR/FlashRAG_datasets';
  hub = await startFakeHub(
    new Map([
      [`${flashRag}/bamboogle/test.jsonl`, { content: bamboogle, lfs: true }],
      [`${flashRag}/nq/test.jsonl`, { content: nq, lfs: false }],
      ['datasets/PeterJinGo/wiki-18-corpus/wiki-18.jsonl.gz', { content: Buffer.from('corpus'), lfs: true }],
    ]),
  );
  vi.stubEnv('HF_ENDPOINT', hub.url);
  vi.stubEnv('HF_TOKEN', '');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(folder, { recursive: true });
});

describe('search-e1 data', () => {
  it('pulls what was named, notes the source, and does not fetch it twice', async () => {
    const dir = path.join(folder, 'pull');
    const first = await capture('data', 'pull', 'bamboogle', 'wiki-18', '--dir', dir);
    expect(first).toMatchObject({ code: 0 });
    const file = path.join(dir, 'bamboogle/test.jsonl');
    expect(first.out).toBe(
      `bamboogle: ${file} (0.0 MB)\nwiki-18: ${path.join(dir, 'wiki-18/wiki-18.jsonl.gz')} (0.0 MB)\n`,
    );
    expect(await readFile(file)).toEqual(bamboogle);
    expect(JSON.parse(await readFile(`${file}.source.json`, 'utf8'))).toMatchObject({
      schema: 1,
      repository: 'RUC-NLPIR/FlashRAG_datasets',
      path: 'bamboogle/test.jsonl',
      bytes: bamboogle.length,
      checksum: { kind: 'sha256' },
    });
    expect(existsSync(path.join(dir, 'nq'))).toBe(false);

    const before = hub.requests.length;
    const again = JSON.parse((await capture('data', 'pull', 'bamboogle', '--dir', dir, '--json')).out);
    expect(again).toEqual({ pulled: [{ name: 'bamboogle', file, bytes: bamboogle.length, fetched: false }] });
    expect(hub.requests).toHaveLength(before);
    // A file that was changed is brought back.
    await writeFile(file, 'x');
    await capture('data', 'pull', 'bamboogle', '--dir', dir);
    expect(await readFile(file)).toEqual(bamboogle);
  });

  it('checks counts: exit code 2 when one differs', async () => {
    const dir = path.join(folder, 'check');
    await capture('data', 'pull', 'bamboogle', '--dir', dir);
    const fine = await capture('data', 'check', '--dir', dir);
    expect(fine).toMatchObject({ code: 0, err: '' });
    expect(fine.out).toContain('ok  bamboogle: 125 questions, as published, 1 repeat the text of an earlier one');
    await capture('data', 'pull', 'nq', '--dir', dir);
    const short = await capture('data', 'check', '--dir', dir, '--json');
    expect(short.code).toBe(2);
    expect(short.err).toContain('nq: not the published number of questions');
    expect(JSON.parse(short.out).checked.map(({ complete }: { complete: boolean }) => complete)).toEqual([false, true]);
    const named = await capture('data', 'check', `nq=${path.join(dir, 'nq/test.jsonl')}`);
    expect(named.out).toMatch(/^differs {2}nq: 2 questions, expected 3,610/);
  });

  it('lists benchmarks with what is here', async () => {
    const dir = path.join(folder, 'list');
    await capture('data', 'pull', 'nq', '--dir', dir);
    const { out } = await capture('data', 'list', '--dir', dir);
    expect(out).toMatch(/nq {16}test {5}3,610 {2}CC BY-SA 3\.0 {3}.*nq\/test\.jsonl\n/);
    expect(out).toMatch(/bamboogle {9}test {7}125 {2}MIT {12}-\n/);
    const { benchmarks, corpora } = JSON.parse((await capture('data', 'list', '--dir', dir, '--json')).out);
    expect(benchmarks).toHaveLength(7);
    // The sizes of method and paper: 51,713 questions in all.
    expect(benchmarks.reduce((sum: number, { questions }: { questions: number }) => sum + questions, 0)).toBe(51_713);
    expect(corpora).toMatchObject([{ name: 'wiki-18', file: null }]);
  });

  it.each([
    [['pull', 'bambogle'], /unknown name bambogle, did you mean bamboogle\?/],
    [['check', 'hotpot'], /unknown name hotpot/],
    [['check', 'musique'], /musique: not found in data[\s\S]*data pull musique/],
    [['check', '--dir', 'nowhere'], /nowhere: none of the benchmarks is here/],
    [['check', 'nq=nowhere.jsonl'], /nowhere\.jsonl: no such file/],
    [['pull'], /missing required argument 'name'/],
    [['puul', 'nq'], /unknown command 'puul'/],
  ])('%j is refused', async (argv, message) => {
    const { code, err } = await capture('data', ...argv);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});
