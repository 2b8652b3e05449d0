import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { capture, captureStoppedOnce } from './testing/capture.ts';

let folder: string;
let corpus: string;
let wiki: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'index-cli-'));
  corpus = path.join(folder, 'corpus.jsonl');
  wiki = path.join(folder, 'wiki');
  const passages = [
    { id: 'oslo', title: 'Oslo', text: 'The capital of Norway.' },
    { id: 'rome', title: 'Rome', text: 'The capital of Italy, on the Tiber.' },
  ];
  await writeFile(corpus, [...passages.map((passage) => JSON.stringify(passage)), 'no passage', ''].join('\n'));
});
afterAll(() => rm(folder, { recursive: true }));

const build = (...more: string[]) =>
  capture('index', 'build', '--corpus', corpus, '--out', wiki, '--workers', '1', ...more);

test('a bad line stops the build with file and line, and leaves no directory', async () => {
  const { code, err } = await build();
  expect(code).toBe(2);
  expect(err).toContain(`${corpus}:3: not valid JSON`);
  expect(existsSync(wiki)).toBe(false);
});

test('Ctrl-C leaves what the same command goes on from', async () => {
  const out = path.join(folder, 'stopped');
  const argv = ['index', 'build', '--corpus', corpus, '--skip-bad', '--out', out, '--workers', '1', '--json'];
  // Its worker is still to end then, and the merge to begin.
  const segmentKept = () => existsSync(path.join(`${out}.partial`, 'segments', '00000.json'));
  const stopped = await captureStoppedOnce(segmentKept, ...argv);
  expect(stopped).toMatchObject({ code: 130, out: '' });
  expect(stopped.err).toMatch(/stopped; what was finished is saved\nContinue with the same command\.\n$/);
  expect(existsSync(out)).toBe(false);
  const continued = await capture(...argv);
  expect(continued.err).toContain('continuing an interrupted build');
  expect(JSON.parse(continued.out)).toMatchObject({ directory: out, manifest: { passages: 2 } });
  expect(existsSync(`${out}.partial`)).toBe(false);
});

test('build, search, info', async () => {
  const built = await build('--skip-bad', '--json');
  expect(built.code).toBe(0);
  expect(JSON.parse(built.out)).toMatchObject({
    directory: wiki,
    skipped: { count: 1, first: [expect.stringContaining(`${corpus}:3`)] },
    manifest: { passages: 2, analyzer: 'english', k1: 0.9, b: 0.4, length: 'lucene' },
  });
  expect(existsSync(`${wiki}.partial`)).toBe(false);

  const { hits } = JSON.parse((await capture('index', 'search', wiki, 'capitals on the Tiber', '--json')).out);
  expect(hits.map((hit: { id: string }) => hit.id)).toEqual(['rome', 'oslo']);
  const one = await capture('index', 'search', wiki, 'Norway', '-k', '1');
  expect(one.out).toMatch(/^1\. Oslo {2}\[oslo\] {2}0\.\d{3}\n {3}The capital of Norway\.\n$/);
  expect((await capture('index', 'search', wiki, 'zebra')).out).toBe('No passage shares a word with the query.\n');

  const info = await capture('index', 'info', wiki, '--verify');
  expect(info.out).toContain('passages    2, 3.5 terms each');
  expect(info.out).toContain('verified    15 files');
  const manifest = await readFile(path.join(wiki, 'manifest.json'), 'utf8');
  expect((await capture('index', 'info', wiki, '--json')).out).toBe(manifest);

  const again = await build('--skip-bad');
  expect(again.code).toBe(2);
  expect(again.err).toContain('holds an index already');
  expect(existsSync(`${wiki}.partial`)).toBe(false);
});

test.each([
  [['info', tmpdir()], 'not a search index'],
  [['search', '/nowhere', 'x'], '/nowhere: no such file or directory'],
  [['build', '--corpus', 'x.jsonl'], "required option '--out <dir>'"],
  [['build', '--corpus', 'x', '--out', 'y', '--b', '2'], 'Expected a number from 0 to 1'],
  [['build', '--corpus', 'x', '--out', 'y', '--memory', '2'], 'Expected a size such as 500MB or 2GB'],
])('index %j is refused', async (args, message) => {
  const { code, err } = await capture('index', ...args);
  expect(code).toBe(2);
  expect(err).toContain(message);
});
