/** What reaches the command from outside, in a process of its own: arguments and texts that are not UTF-8, outputs that take nothing. */
import { spawn } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { folderName } from './evaluate.ts';
import { capture } from './testing/capture.ts';

const command = fileURLToPath(new URL('../../bin/search-e1.js', import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'outside-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const at = async (name: string, content: string | Buffer) => {
  await writeFile(path.join(folder, name), content);
  return path.join(folder, name);
};

/** Runs a command line of the shell, in which "$S" is search-e1. */
async function shell(line: string, out: 'pipe' | number = 'pipe'): Promise<{ code: number; out: string; err: string }> {
  const environment = { ...process.env, S: command, NODE: process.execPath };
  const child = spawn('/bin/sh', ['-c', line], { stdio: ['ignore', out, 'pipe'], env: environment });
  const [said, err, code] = await Promise.all([
    child.stdout === null ? '' : text(child.stdout),
    text(child.stderr!),
    new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? -1))),
  ]);
  return { code, out: said, err };
}

it.runIf(existsSync('/dev/full'))('a full disk behind standard output ends in a sentence', async () => {
  const predictions = await at('p.jsonl', '{"prediction":"x","answers":["x"]}\n');
  for (const flags of ['', '--json']) {
    const { code, err } = await shell(
      `"$NODE" "$S" score --predictions ${predictions} ${flags}`,
      openSync('/dev/full', 'w'),
    );
    expect(err).toMatch(/^(all: .*\n)?search-e1: standard output: the disk is full\n/);
    expect(code).toBe(2);
  }
});

it('a reader that has seen enough is no failure', async () => {
  const { code, out, err } = await shell('"$NODE" "$S" settings --json | head -c 10; exit 0');
  expect({ code, out, err }).toEqual({ code: 0, out: '[\n  {\n    ', err: '' });
});

it.runIf(process.platform === 'linux')('an argument that is not UTF-8 is refused', async () => {
  const { code, err } = await shell(`"$NODE" "$S" ask "$(printf 'caf\\351')"`);
  expect(err).toMatch(/^search-e1: the argument "caf�" is not UTF-8\n/);
  expect(code).toBe(2);
});

describe('files that are not UTF-8, or begin with a byte order mark', () => {
  const latin1 = (line: string) => Buffer.from(line, 'latin1');

  it.each([
    [
      'predictions',
      async () => ['score', '--predictions', await at('a.jsonl', latin1('{"prediction":"\xe9","answers":["\xe9"]}'))],
    ],
    ['settings', async () => ['evolve', '--dry-run', '--config', await at('a.json', latin1('{"seed":"\xe9"}'))]],
    [
      'an experiment',
      async () => ['experiment', await at('e.json', latin1('{"arms":["\xe9"]}')), '--out', path.join(folder, 'e')],
    ],
    ['a template', async () => ['ask', 'x', '--template', await at('t.json', latin1('{"name":"\xe9"}'))]],
    [
      'a corpus',
      async () => [
        'index',
        'build',
        '--out',
        path.join(folder, 'i'),
        '--corpus',
        await at('c.jsonl', latin1('{"id":"1","text":"\xe9"}')),
      ],
    ],
    [
      'judgements',
      async () => [
        'index',
        'eval',
        'x',
        '--queries',
        await at('q.jsonl', '{"id":"1","text":"x"}'),
        '--qrels',
        await at('r.tsv', latin1('1\t\xe9\t1')),
      ],
    ],
  ] as const)('%s', async (_, words) => {
    const { code, err } = await capture(...(await words()));
    expect(err).toMatch(/:1: not UTF-8: byte E9 at position \d+\n/);
    expect(code).toBe(2);
  });

  it('a mark is no part of the first line', async () => {
    const { out, err } = await capture(
      'score',
      '--predictions',
      await at('m.jsonl', '\ufeff{"prediction":"x","answers":["x"]}\n'),
    );
    expect(out).toBe('{"em":1,"f1":1,"sub_em":1}\n');
    expect(err).toContain('exact match 1.000');
    const refused = await capture('evolve', '--dry-run', '--config', await at('m.json', '\ufeff{"seeed":1}'));
    expect(refused.err).toContain('unknown setting seeed, did you mean seed?');
  });

  it('brackets without end are refused in settings and in passages', async () => {
    const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    const settings = await capture('evolve', '--dry-run', '--config', await at('d.json', `{"seed":${deep(100_000)}}`));
    expect(settings).toMatchObject({
      code: 2,
      err: expect.stringContaining('d.json: not readable: JSON nested deeper'),
    });
    const corpus = await at('d.jsonl', `{"id":${deep(100_000)},"text":"x"}\n`);
    const built = await capture('index', 'build', '--out', path.join(folder, 'd'), '--corpus', corpus);
    expect(built).toMatchObject({
      code: 2,
      err: expect.stringContaining('d.jsonl:1: not readable: JSON nested deeper'),
    });
  });
});

it('folders named after models of others lie where they belong', () => {
  for (const name of [
    '..',
    '.',
    '',
    '../../x',
    '/etc',
    '...hidden',
    '-rf',
    'a'.repeat(500),
    '\u0000',
    'C:\\x',
    '日本',
  ]) {
    const made = folderName(name);
    expect(path.dirname(path.join('evaluations', made))).toBe('evaluations');
    expect(made).toMatch(/^[\w#][\w.#-]{0,99}$/);
  }
  expect(folderName('Qwen/Qwen2.5-3B')).toBe('Qwen-Qwen2.5-3B');
});

describe.runIf(process.platform === 'linux')('too few descriptors', () => {
  // Below 22, Node itself does not start. At 26 it is another process that cannot be started.
  it.each([24, 26])('%i end in a sentence, whatever was to be opened with them', async (limit) => {
    const corpus = await at('few.jsonl', '{"id":"1","text":"a fox"}\n');
    for (const rest of ['evolve --dry-run', `index build --corpus ${corpus} --out ${folder}/few-${limit}`]) {
      const { code, err } = await shell(`ulimit -n ${limit}; exec "$NODE" "$S" ${rest}`);
      expect(err).toMatch(/too many files are open\nRaise the limit, for example with: ulimit -n 4096/);
      expect(err).not.toMatch(/^ +at /m);
      expect(code).toBe(2);
    }
  });
});
