import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Embedder } from '../embedder.ts';
import { DIMENSION, plainIds, plainVector, writeTinyEncoder } from '../testing/tiny-encoder.ts';
import { readEncoderFolder } from './folder.ts';
import { openLocalEmbedder } from './local-embedder.ts';
import { SentenceEncoder } from './sentence-encoder.ts';

let folder: string;
let model: string;
let embedder: Embedder;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'encoder-'));
  model = await writeTinyEncoder(path.join(folder, 'tiny'));
  embedder = await openLocalEmbedder(model, { threads: 1 });
});
afterAll(async () => {
  await embedder.close();
  await rm(folder, { recursive: true });
});

const TEXTS = ['Oslo fjord', 'the Seine: Paris', '', 'unknown words the the the', 'paris '.repeat(40), 'oslo'];
const row = (vectors: Float32Array, i: number) => [...vectors.subarray(i * DIMENSION, (i + 1) * DIMENSION)];

describe('against the plain computation in double precision', () => {
  test.each(['query', 'passage'] as const)('%s: prefix, padding, mean over the text alone, norm 1', async (role) => {
    const vectors = await embedder.embed(TEXTS, role);
    expect(vectors).toHaveLength(TEXTS.length * DIMENSION);
    for (const [i, text] of TEXTS.entries()) {
      const expected = plainVector(plainIds(`${role}: ${text}`));
      for (const [j, value] of row(vectors, i).entries()) expect(value).toBeCloseTo(expected[j]!, 5);
    }
  });

  test('a long text is cut to 256 tokens, the special ones kept', async () => {
    const files = await readEncoderFolder(model);
    const encoder = await SentenceEncoder.open(files, 1);
    const ids = plainIds(`query: ${'paris the '.repeat(200)}`);
    const cut = [...ids.slice(0, 255), ids.at(-1)!];
    expect(encoder.tokenize(`query: ${'paris the '.repeat(200)}`)).toEqual(cut);
    await encoder.close();
    const vectors = await embedder.embed(['paris the '.repeat(200)], 'query');
    for (const [j, value] of row(vectors, 0).entries()) expect(value).toBeCloseTo(plainVector(cut)[j]!, 5);
  });
});

test('a vector does not depend on what else is asked for, to the last bit', async () => {
  const many = Array.from({ length: 150 }, (_, i) => TEXTS[i % TEXTS.length]!);
  const together = await embedder.embed(many, 'passage');
  for (const [i, text] of TEXTS.entries()) {
    const alone = row(await embedder.embed([text], 'passage'), 0);
    expect(row(together, i)).toEqual(alone);
    expect(row(together, i + 144)).toEqual(alone);
  }
});

test('nothing asked, nothing given; an aborted batch rejects', async () => {
  expect(await embedder.embed([], 'query')).toHaveLength(0);
  const abort = new AbortController();
  const pending = embedder.embed(
    Array.from({ length: 500 }, () => 'oslo'),
    'query',
    abort.signal,
  );
  abort.abort(new Error('enough'));
  await expect(pending).rejects.toThrow('enough');
});

test('info: name, dimension, hash of the files, prefixes', async () => {
  expect(embedder.info).toEqual({
    name: model,
    dimension: DIMENSION,
    hash: (await readEncoderFolder(model)).hash,
    prefixes: { query: 'query: ', passage: 'passage: ' },
  });
});

describe('folders that are no such model', () => {
  async function variant(name: string, change: (folder: string) => Promise<unknown>): Promise<string> {
    const other = await writeTinyEncoder(path.join(folder, name));
    await change(other);
    return other;
  }

  test.each<[string, (folder: string) => Promise<unknown>, RegExp]>([
    ['no model', (at) => rm(path.join(at, 'onnx'), { recursive: true }), /no onnx\/model\.onnx and no model\.onnx/],
    ['no tokenizer', (at) => rm(path.join(at, 'tokenizer.json')), /tokenizer\.json: no such file/],
    ['no config', (at) => rm(path.join(at, 'config.json')), /config\.json: no such file/],
    ['another config', (at) => writeFile(path.join(at, 'config.json'), '{"hidden_size": "x"}'), /hidden_size/],
    ['another tokenizer', (at) => writeFile(path.join(at, 'tokenizer.json'), '{}'), /cannot be used as a tokenizer/],
    ['no ONNX', (at) => writeFile(path.join(at, 'onnx', 'model.onnx'), 'no'), /cannot be opened as an ONNX model/],
    [
      'another pooling',
      async (at) => {
        await mkdir(path.join(at, '1_Pooling'));
        const pooling = { pooling_mode_cls_token: true, pooling_mode_mean_tokens: false };
        await writeFile(path.join(at, '1_Pooling', 'config.json'), JSON.stringify(pooling));
      },
      /does not pool by the mean/,
    ],
  ])('%s', async (name, change, message) => {
    const other = await variant(name.replace(' ', '-'), change);
    await expect(openLocalEmbedder(other, { threads: 1 })).rejects.toThrow(message);
  });

  test('a model of another width than its config says', async () => {
    const config = { hidden_size: DIMENSION + 1, max_position_embeddings: 300 };
    const other = await variant('wide', (at) => writeFile(path.join(at, 'config.json'), JSON.stringify(config)));
    const wide = await openLocalEmbedder(other, { threads: 1 });
    await expect(wide.embed(['oslo'], 'query')).rejects.toThrow('its output has the shape');
    await wide.close();
  });
});
