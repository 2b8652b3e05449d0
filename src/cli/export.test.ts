import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_POLICY } from '../checkpoint/base-policy.ts';
import { readModel } from '../checkpoint/model-directory.ts';
import { loadTokenizer } from '../checkpoint/tokenizer.ts';
import { main } from './main.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'search-e1-cli-export-'));
});
afterAll(() => rm(root, { recursive: true }));

const run = (...argv: string[]) => runCommand('export', ...argv);

async function runCommand(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const parts = { out: [] as string[], err: [] as string[] };
  const code = await main(argv, {
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

describe('GGUF', () => {
  const tiny = path.join(import.meta.dirname, '..', 'checkpoint', 'testing', 'llama.gguf');

  it('is imported as a Hugging Face directory and exported again, with everything that it held', async () => {
    const [folder, file] = [path.join(root, 'imported'), path.join(root, 'again.gguf')];
    const imported = await runCommand('import', tiny, '--out', folder, '--json');
    expect([imported.code, imported.err]).toEqual([0, '']);
    expect(JSON.parse(imported.out)).toMatchObject({ from: tiny, directory: folder, family: 'llama', tokenizer: true });
    expect(await readModel(folder)).toEqual(await readModel(tiny));
    const exported = await run(folder, '--format', 'gguf', '--type', 'q8_0', '--out', file);
    expect([exported.code, exported.out]).toEqual([0, expect.stringMatching(/again\.gguf: llama, .* q8_0, from/)]);
    // Q8_0 of what was Q8_0 is the same.
    expect((await readModel(file)).config).toEqual((await readModel(tiny)).config);
    const [first, second] = await Promise.all([tiny, file].map(loadTokenizer));
    expect(second!.encode('<|im_start|>ten 123')).toEqual(first!.encode('<|im_start|>ten 123'));
    expect([second!.endTokens, second!.start, second!.chat('x')]).toEqual([
      first!.endTokens,
      first!.start,
      first!.chat('x'),
    ]);
    expect((await run(folder, '--format', 'gguf', '--out', file)).err).toMatch(/again\.gguf: exists already/);
    expect((await run(tiny, '--format', 'gguf', '--out', path.join(root, 'folder'))).code).toBe(0);
    expect(await readModel(path.join(root, 'folder', 'model.gguf'))).toBeDefined();
  });

  it.each([
    [
      'a model without a form in GGUF',
      ['export', BASE_POLICY, '--format', 'gguf'],
      /no byte-level BPE, which GGUF has no form for/,
    ],
    ['a type without the format', ['export', tiny, '--type', 'q8_0'], /--type does not go with --format huggingface/],
    [
      'a dtype with it',
      ['export', tiny, '--format', 'gguf', '--dtype', 'float16'],
      /--dtype does not go with --format gguf/,
    ],
    ['the adapter alone', ['export', tiny, '--format', 'gguf', '--adapter-only'], /--adapter-only does not go with/],
    [
      'an unknown type',
      ['export', tiny, '--format', 'gguf', '--type', 'q2_k'],
      /Allowed choices are f32, f16, bf16, q8_0, q4_0, q4_1/,
    ],
    ['a directory to import', ['import', BASE_POLICY], /is no GGUF file/],
    ['a file that is not there', ['import', 'none.gguf'], /none\.gguf: not a model directory/],
  ])('is refused in a sentence: %s', async (_, argv, message) => {
    const { code, err } = await runCommand(...argv, '--out', path.join(root, 'nowhere.gguf'));
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
  });
});
