import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { readModel } from '../checkpoint/model-directory.ts';
import { main } from './main.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'search-e1-cli-export-'));
});
afterAll(() => rm(root, { recursive: true }));

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const parts = { out: [] as string[], err: [] as string[] };
  const code = await main(['export', ...argv], {
    out: { write: (text) => parts.out.push(text) },
    err: { write: (text) => parts.err.push(text) },
  });
  return { code, out: parts.out.join(''), err: parts.err.join('') };
}

describe('search-e1 export', () => {
  it('writes a model, says what it wrote, and never writes over anything', async () => {
    const out = path.join(root, 'model');
    const first = await run(BASE_POLICY, '--out', out, '--json');
    expect(first.code).toBe(0);
    expect(JSON.parse(first.out)).toMatchObject({ directory: out, family: 'qwen2', dtype: 'float32', tokenizer: true });
    expect(await readModel(out)).toEqual(await readModel(BASE_POLICY));
    expect(await readFile(path.join(out, 'tokenizer.json'))).toEqual(
      await readFile(path.join(BASE_POLICY, 'tokenizer.json')),
    );
    const second = await run(BASE_POLICY, '--out', out);
    expect([second.code, second.err]).toEqual([2, expect.stringContaining('model: is not empty\nChoose another')]);
  });

  it.each([
    ['a type that is none', ['--dtype', 'int8'], /Allowed choices are float32, bfloat16, float16/],
    ['an adapter that is not there', ['--adapter-only'], /has no adapter/],
    ['no place to write to', [], /required option '--out <dir>'/],
  ])('refuses %s', async (_, options, message) => {
    const out = options.length > 0 ? ['--out', path.join(root, 'none')] : [];
    const { code, err } = await run(BASE_POLICY, ...out, ...options);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});
