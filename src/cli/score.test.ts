import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capture } from './testing/capture.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'score-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(rows: readonly (object | string)[], name = 'p.jsonl'): Promise<string> {
  const target = path.join(folder, name);
  const content = rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n');
  await writeFile(target, name.endsWith('.gz') ? gzipSync(content) : content);
  return target;
}

const ROWS = [
  { id: 'a', suite: 'nq', prediction: 'The Tower.', answers: ['tower'] },
  { id: 'b', suite: 'nq', prediction: 'a tower in Paris', answers: ['the tower'] },
  { suite: 'hotpotqa', prediction: null, answers: ['yes'] },
];

describe('search-e1 score', () => {
  it('answers every line on standard output and sums up on standard error', async () => {
    const { code, out, err } = await capture('score', '--predictions', await file(ROWS, 'p.jsonl.gz'));
    expect(code).toBe(0);
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { id: 'a', em: 1, f1: 1, sub_em: 1 },
      { id: 'b', em: 0, f1: 0.5, sub_em: 1 },
      { em: 0, f1: 0, sub_em: 0 },
    ]);
    expect(err).toBe(
      [
        'nq: exact match 0.500+-0.500  F1 0.750+-0.250  substring 1.000+-0.000  n 2',
        'hotpotqa: exact match 0.000  F1 0.000  substring 0.000  n 1',
        'macro mean: exact match 0.250  F1 0.375  substring 0.500',
        'micro mean: exact match 0.333+-0.333  F1 0.500+-0.289  substring 0.667+-0.333  n 3',
        '',
      ].join('\n'),
    );
  });

  it('gives one document with --json', async () => {
    const { out, err } = await capture('score', '--json', '--predictions', await file(ROWS));
    expect(err).toBe('');
    const document = JSON.parse(out);
    expect(document.scores).toHaveLength(3);
    expect(document.summary.macro.em.mean).toBe(0.25);
    expect(document.summary.suites[0].em).toMatchObject({ mean: 0.5 });
  });

  it('calls no suite "all" beside others, and says what wins by nothing', async () => {
    const rows = [...ROWS, { prediction: 'the', answers: ['A'] }];
    const { code, err } = await capture('score', '--predictions', await file(rows));
    expect(code).toBe(0);
    expect(err).toContain('\n(no suite): exact match 1.000');
    expect(err).toMatch(/note: .*: 1 of 4 questions have a gold answer that normalises to nothing \(such as "A"\)/);
    expect((await capture('score', '--predictions', await file([{ prediction: 'x', answers: ['x'] }]))).err).toBe(
      'all: exact match 1.000  F1 1.000  substring 1.000  n 1\n',
    );
  });

  it('compares two files by id', async () => {
    const ids = Array.from({ length: 40 }, (_, i) => `q${i}`);
    const rows = (right: (i: number) => boolean) =>
      ids.map((id, i) => ({ id, prediction: right(i) ? 'yes' : 'no', answers: ['yes'] }));
    const old = await file(rows((i) => i % 2 === 0).reverse(), 'old.jsonl');
    const fresh = await file([...rows(() => true), { id: 'other', prediction: 'x', answers: ['y'] }], 'new.jsonl');
    const { out } = await capture('score', '--json', '--predictions', fresh, '--compare', old);
    const { comparison } = JSON.parse(out);
    expect(comparison).toMatchObject({ questions: 40, difference: 0.5 });
    expect(comparison.low).toBeGreaterThan(0.3);
    expect(comparison.high).toBeLessThan(0.7);
    const { err } = await capture('score', '--predictions', fresh, '--compare', old);
    expect(err).toMatch(/against the other file: \+0\.500 {2}95 % \[0\.\d+, 0\.\d+\] {2}40 questions in both\n$/);
  });

  it.each<[string, (object | string)[], RegExp]>([
    ['not JSON', [ROWS[0]!, '{"a'], /p\.jsonl:2: not valid JSON/],
    ['no prediction', [{ answers: ['x'] }], /p\.jsonl:1: prediction: expected a string, or null/],
    ['no answers', [{ prediction: 'x' }], /p\.jsonl:1: answers: expected a list of strings/],
    ['an empty list', [{ prediction: 'x', answers: [] }], /p\.jsonl:1: answers: expected at least one answer/],
    ['a number as answer', [{ prediction: 'x', answers: [3] }], /p\.jsonl:1: answers\.0: expected a string/],
    ['nothing', [''], /p\.jsonl: no predictions/],
  ])('refuses %s', async (_name, rows, message) => {
    const { code, err } = await capture('score', '--predictions', await file(rows));
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  it('refuses comparisons that cannot be made', async () => {
    const fine = await file(ROWS.slice(0, 2), 'fine.jsonl');
    const noId = await file([{ prediction: 'x', answers: ['x'] }], 'no-id.jsonl');
    const twice = await file([ROWS[0]!, ROWS[0]!], 'twice.jsonl');
    const other = await file([{ ...ROWS[0], id: 'z' }], 'other.jsonl');
    for (const [a, b, message] of [
      [fine, noId, /no-id\.jsonl:1: id: nothing found/],
      [twice, fine, /twice\.jsonl:2: id: "a" occurs a second time/],
      [fine, other, /other\.jsonl: no id of it occurs in the other file/],
    ] as const)
      expect((await capture('score', '--predictions', a, '--compare', b)).err).toMatch(message);
  });

  it('reads standard input', async () => {
    const command = spawn(process.execPath, ['bin/search-e1.js', 'score', '--predictions', '-'], { stdio: 'pipe' });
    command.stdin.end(`${JSON.stringify(ROWS[0])}\n{"prediction": 3}\n`);
    const [out, err] = await Promise.all([text(command.stdout), text(command.stderr)]);
    expect(out).toBe('{"id":"a","em":1,"f1":1,"sub_em":1}\n');
    expect(err).toContain('standard input:2: prediction: expected a string');
  });
});
