import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../../base/errors.ts';
import { openPolicyDirectory } from '../../engines/onnx/engine.ts';
import type { ModelConfig } from '../config.ts';
import { readConfig, readModel, weightFiles } from '../model-directory.ts';
import { lacks, shared } from '../shared.testing.ts';
import { loadTokenizer } from '../tokenizer.ts';
import { readTokenizerFiles } from '../tokenizer-files.ts';
import { reorderRows, ropeFactorsOf } from './architecture.ts';
import { writeGguf } from './export.ts';
import { GgufFile } from './file.ts';
import { isGguf } from './model.ts';

const testing = path.join(import.meta.dirname, '..', 'testing');
interface Expected {
  readonly ids: readonly number[];
  readonly logprobs: readonly number[];
  readonly texts: Readonly<Record<string, readonly number[]>>;
  readonly start: readonly number[];
}
const { files } = JSON.parse(readFileSync(path.join(testing, 'gguf-expected.json'), 'utf8')) as {
  files: Record<string, Expected>;
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'search-e1-gguf-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Largest difference to the log-probabilities of the tokens behind the first. */
async function error(place: string, ids: readonly number[], truth: readonly number[]): Promise<number> {
  const { vocabulary } = await readConfig(place);
  const policy = await openPolicyDirectory(place, { pieces: new Array(vocabulary).fill(''), threads: 1 });
  try {
    const [found] = await policy.logprobs([ids], 'present');
    return Math.max(...truth.map((value, i) => Math.abs(value - found![i + 1]!)));
  } finally {
    await policy.close();
  }
}

describe.each(Object.entries(files))('%s', (name, { ids, logprobs, texts, start }) => {
  const file = path.join(testing, name);

  it('computes what transformers computes with the same weights', async () => {
    // The truth is in float64; log-probabilities go down to −12.
    expect(await error(file, ids, logprobs)).toBeLessThan(3e-5);
  });

  it('splits and encodes texts as the tokenizers library does', async () => {
    const tokenizer = await loadTokenizer(file);
    for (const [text, expected] of Object.entries(texts))
      expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids: expected });
    expect(tokenizer.start).toEqual(start);
    expect(tokenizer.endTokens).toEqual([2, 0]);
    expect(tokenizer.chat('hi')).toBe('<|im_start|>user\nhi<|im_end|>\n');
    // Rows without a token have no text.
    expect((await readConfig(file)).vocabulary - tokenizer.vocabulary).toBe(5);
  });

  it.each(['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_1'] as const)('is written as %s and read back', async (type) => {
    const [model, tokenizer] = [await readModel(file), await readTokenizerFiles(file)];
    const out = path.join(folder, `${name}-${type}.gguf`);
    await writeGguf(out, { ...model, tokenizer, name: 'x' }, type);
    const back = await readModel(out);
    expect(back.config).toEqual(model.config);
    expect([...back.weights.keys()].sort()).toEqual([...model.weights.keys()].sort());
    for (const [tensor, { data, shape }] of model.weights) {
      const found = back.weights.get(tensor)!;
      expect(found.shape).toEqual(shape);
      for (let at = 0; at < data.length; at += 32) {
        const [block, own] = [data.subarray(at, at + 32), found.data.subarray(at, at + 32)];
        const worst = Math.max(...own.map((value, i) => Math.abs(value - block[i]!)));
        expect(worst).toBeLessThanOrEqual(shape.length === 1 ? 0 : statedError(type, block));
      }
    }
    const [first, second] = [await loadTokenizer(file), await loadTokenizer(out)];
    for (const text of Object.keys(texts)) expect(second.encode(text)).toEqual(first.encode(text));
    expect(await readTokenizerFiles(out)).toEqual(tokenizer);
  });
});

/** See quantize.ts: about half a step, at Q4_0's far end a whole one, and the rounding of scale and minimum to float16. */
function statedError(type: string, block: Float32Array): number {
  const largest = Math.max(...block.map(Math.abs));
  const range = Math.max(...block) - Math.min(...block);
  const half = 2 ** -11;
  const steps: Record<string, number> = {
    F32: 0,
    F16: largest * half + 2 ** -25,
    BF16: largest * 2 ** -8,
    Q8_0: largest / 254 + largest * half,
    Q4_0: largest / 8 + largest * half,
    Q4_1: range / 30 + (range + largest) * half,
  };
  return steps[type]! * 1.000001 + 1e-7;
}

describe('what a GGUF file is', () => {
  it('is known by its name or its first bytes', async () => {
    const hidden = path.join(folder, 'blob');
    await copyFile(path.join(testing, 'qwen2.gguf'), hidden);
    await writeFile(path.join(folder, 'text'), 'GG');
    expect(
      await Promise.all([hidden, path.join(folder, 'text'), folder, path.join(folder, 'none.gguf')].map(isGguf)),
    ).toEqual([true, false, false, false]);
    expect((await readConfig(hidden)).family).toBe('qwen2');
    expect(await weightFiles(hidden)).toEqual([hidden]);
    await expect(readConfig(path.join(folder, 'none.gguf'))).rejects.toThrow(
      /none\.gguf: not a model directory \(nothing is there\)/,
    );
    await writeFile(path.join(folder, 'bad.gguf'), '{}');
    await expect(readConfig(path.join(folder, 'bad.gguf'))).rejects.toThrow(/bad\.gguf: not a GGUF file: 2 bytes/);
  });

  it('may be a part only, which is said', async () => {
    const part = path.join(folder, 'm-00002-of-00003.gguf');
    await copyFile(path.join(testing, 'qwen2.gguf'), part);
    await expect(readConfig(part)).rejects.toThrow(/is 2 of 3 files of a model that is split/);
    const one = path.join(folder, 'm-00001-of-00001.gguf');
    await copyFile(path.join(testing, 'qwen2.gguf'), one);
    expect((await readConfig(one)).layers).toBe(1);
  });
});

describe("llama's order of rows", () => {
  it('is undone by its inverse, head by head', () => {
    // Two heads of 4 rows, each row its number twice.
    const rows = (order: readonly number[]) => Float32Array.from(order.flatMap((n) => [n, n]));
    const values = rows([0, 1, 2, 3, 10, 11, 12, 13]);
    reorderRows(values, 2, 4, 'ggml');
    expect(values).toEqual(rows([0, 2, 1, 3, 10, 12, 11, 13]));
    reorderRows(values, 2, 4, 'huggingface');
    expect(values).toEqual(rows([0, 1, 2, 3, 10, 11, 12, 13]));
  });
});

describe("Llama 3's scaling", () => {
  const llama3 = (factor: number, original: number, high = 4) =>
    ({
      type: 'llama3',
      factor,
      lowFrequencyFactor: 1,
      highFrequencyFactor: high,
      originalContextLength: original,
    }) as const;

  it.each([
    ['Llama 3.1', 128, 500_000, llama3(8, 8192)],
    ['Llama 3.2', 64, 500_000, llama3(32, 8192)],
    ['another context', 128, 500_000, llama3(16, 32_768)],
    ['another band', 128, 10_000, llama3(4, 4096, 8)],
  ])('is found again in the factors that it makes: %s', async (_, headSize, ropeTheta, ropeScaling) => {
    const { config, weights } = await readModel(path.join(testing, 'llama.gguf'));
    const tokenizer = await readTokenizerFiles(path.join(testing, 'llama.gguf'));
    const shape: ModelConfig = { ...config, headSize, ropeTheta, ropeScaling, heads: 1, keyValueHeads: 1, layers: 1 };
    expect(ropeFactorsOf(shape)!.some((factor) => factor > 1 && factor < ropeScaling.factor)).toBe(true);
    const file = path.join(folder, `${headSize}-${ropeScaling.originalContextLength}.gguf`);
    await writeGguf(file, { config: shape, weights, tokenizer, name: 'x' }, 'F32');
    expect((await readConfig(file)).ropeScaling).toEqual(ropeScaling);
  });
});

describe.skipIf(lacks('cases', 'gguf'))('the shared cases', async () => {
  const names = lacks('cases', 'gguf')
    ? []
    : (await readdir(shared('cases', 'gguf'))).filter((name) => name.endsWith('.gguf'));

  it.each(names)('%s computes what is expected', async (name) => {
    const file = shared('cases', 'gguf', name);
    const { input_ids, logprobs_of_next } = JSON.parse(readFileSync(file.replace(/\.gguf$/, '.expected.json'), 'utf8'));
    expect(await error(file, input_ids, logprobs_of_next)).toBeLessThan(1e-5);
  });
});

it('a model directory is no GGUF file, nor is its error a crash', async () => {
  const opening = GgufFile.open(folder);
  await expect(opening).rejects.toThrow(UserError);
});
