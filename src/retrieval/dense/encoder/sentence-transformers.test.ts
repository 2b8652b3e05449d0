/** Sentence-transformers folders: against the vectors of the library itself (testing/make_tiny_bert.py), and what is refused. */
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeFileAtomic } from '../../../base/files.ts';
import { readSafetensors, type StoredType, safetensorsParts } from '../../../checkpoint/safetensors.ts';
import { writeTinyEncoder } from '../testing/tiny-encoder.ts';
import { readEncoderFolder } from './folder.ts';
import { openLocalEmbedder } from './local-embedder.ts';
import { SentenceEncoder } from './sentence-encoder.ts';

const TINY = fileURLToPath(new URL('../testing/tiny-bert/', import.meta.url));
interface Case {
  readonly name: string;
  readonly config?: object;
  readonly pooling?: object;
  readonly query: readonly number[][];
  readonly passage: readonly number[][];
}
const expected = JSON.parse(await readFile(path.join(TINY, 'expected.json'), 'utf8')) as {
  texts: string[];
  cases: Case[];
};

let place: string;
let made = 0;
beforeAll(async () => {
  place = await mkdtemp(path.join(tmpdir(), 'sentences-'));
});
afterAll(() => rm(place, { recursive: true }));

/** A copy of the tiny model with some fields of its files changed; undefined removes a field. */
async function variant(changes: Readonly<Record<string, object>> = {}): Promise<string> {
  const folder = path.join(place, `model-${++made}`);
  await cp(TINY, folder, { recursive: true });
  for (const [name, fields] of Object.entries(changes)) {
    const file = path.join(folder, name);
    const before = Array.isArray(fields) ? undefined : JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify(before === undefined ? fields : { ...before, ...fields }));
  }
  return folder;
}

const rows = (vectors: Float32Array, count: number) =>
  Array.from({ length: count }, (_, i) => [
    ...vectors.subarray((i * vectors.length) / count, ((i + 1) * vectors.length) / count),
  ]);
function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, j) => sum + value * y[j]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

async function withModel<T>(folder: string, use: (encoder: SentenceEncoder) => Promise<T>): Promise<T> {
  const encoder = await SentenceEncoder.open(await readEncoderFolder(folder), 1);
  try {
    return await use(encoder);
  } finally {
    await encoder.close();
  }
}

describe('the vectors of sentence-transformers', () => {
  test.each(expected.cases)('$name', async ({ config = {}, pooling = {}, ...vectors }) => {
    const folder = await variant({ 'config.json': config });
    if (Object.keys(pooling).length > 0)
      await writeFile(path.join(folder, '1_Pooling', 'config.json'), JSON.stringify(pooling));
    const embedder = await openLocalEmbedder(folder, { threads: 1 });
    try {
      expect(embedder.info.prefixes).toEqual({ query: 'query: ', passage: 'passage: ' });
      for (const role of ['query', 'passage'] as const) {
        const own = rows(await embedder.embed(expected.texts, role), expected.texts.length);
        for (const [i, vector] of own.entries()) {
          expect(cosine(vector, vectors[role][i]!)).toBeGreaterThan(1 - 1e-9);
          for (const [j, value] of vector.entries()) expect(value).toBeCloseTo(vectors[role][i]![j]!, 5);
        }
      }
    } finally {
      await embedder.close();
    }
  });

  test('a vector does not depend on what else is asked for, to the last bit', async () => {
    const many = Array.from({ length: 90 }, (_, i) => expected.texts[i % 9]!);
    await withModel(TINY, async (encoder) => {
      const together = rows(await encoder.embed(many), many.length);
      for (const [i, text] of many.entries())
        if (i % 10 === 0) expect(together[i]).toEqual([...(await encoder.embed([text]))]);
    });
  });

  test.each<[StoredType, number]>([
    ['F16', 1e-5],
    ['BF16', 1e-3],
  ])('weights in %s, under the names of a larger model', async (dtype, error) => {
    const folder = await variant();
    const file = path.join(folder, 'model.safetensors');
    const tensors = [...(await readSafetensors(file))].map(([name, tensor]) => [`bert.${name}`, tensor] as const);
    await writeFileAtomic(file, safetensorsParts(new Map(tensors), dtype));
    await withModel(folder, async (encoder) => {
      const [own] = rows(await encoder.embed(['passage: Oslo fjord']), 1);
      expect(cosine(own!, expected.cases[0]!.passage[0]!)).toBeGreaterThan(1 - error);
    });
  });
});

describe('what the files say', () => {
  const read = async (changes: Readonly<Record<string, object>>) => readEncoderFolder(await variant(changes));
  const PROMPTS = 'config_sentence_transformers.json';

  test.each<[object, { query: string; passage: string }]>([
    [
      { query: 'q ', passage: 'p ' },
      { query: 'q ', passage: 'p ' },
    ],
    [
      { document: 'd ', passage: 'p ', corpus: 'c ' },
      { query: '', passage: 'd ' },
    ],
    [
      { corpus: 'c ', clustering: 'x ' },
      { query: '', passage: 'c ' },
    ],
    [{}, { query: '', passage: '' }],
  ])('prompts %j', async (prompts, prefixes) => {
    expect((await read({ [PROMPTS]: { prompts } })).prefixes).toEqual(prefixes);
  });

  test('given prefixes stand in place of the folder’s', async () => {
    const embedder = await openLocalEmbedder(TINY, { threads: 1, prefixes: { query: '' } });
    expect(embedder.info.prefixes).toEqual({ query: '', passage: 'passage: ' });
    await embedder.close();
  });

  test('the longest text: of the file, else of tokenizer and network', async () => {
    const limits = (max_seq_length: unknown) => ({ 'sentence_bert_config.json': { max_seq_length } });
    expect((await read({})).maxTokens).toBe(24);
    expect((await read(limits(1000))).maxTokens).toBe(40);
    expect((await read({ ...limits(null), 'tokenizer_config.json': { model_max_length: 30 } })).maxTokens).toBe(30);
    expect((await read({ ...limits(null), 'tokenizer_config.json': { model_max_length: 1e30 } })).maxTokens).toBe(40);
  });

  test('do_lower_case lowers what the tokenizer would not', async () => {
    const upper = await variant({
      'tokenizer.json': { normalizer: { type: 'BertNormalizer', lowercase: false, strip_accents: false } },
    });
    const ids = (folder: string) => withModel(folder, async (encoder) => encoder.tokenize('OSLO fjord'));
    const lower = await ids(TINY);
    expect(await ids(upper)).not.toEqual(lower);
    await writeFile(path.join(upper, 'sentence_bert_config.json'), '{"max_seq_length": 24, "do_lower_case": true}');
    expect(await ids(upper)).toEqual(lower);
  });

  test('the hash is of all that vectors depend on, prefixes apart', async () => {
    const hash = async (changes: Readonly<Record<string, object>>) => (await read(changes)).hash;
    const own = await hash({});
    expect(await hash({ [PROMPTS]: { prompts: {} } })).toBe(own);
    const others = [
      await hash({ '1_Pooling/config.json': { pooling_mode: 'cls' } }),
      await hash({ 'sentence_bert_config.json': { max_seq_length: 20 } }),
      await hash({ 'config.json': { hidden_act: 'relu' } }),
      await hash({ 'tokenizer.json': { truncation: null, version: '1.1' } }),
    ];
    expect(new Set([own, ...others]).size).toBe(5);
  });

  test('an ONNX file is the network where there is one, with the folder’s pooling and prompts', async () => {
    const folder = await variant({ '1_Pooling/config.json': { pooling_mode: 'cls' } });
    const onnx = await writeTinyEncoder(path.join(place, 'onnx'));
    for (const name of ['onnx', 'config.json', 'tokenizer.json'])
      await cp(path.join(onnx, name), path.join(folder, name), { recursive: true });
    const files = await readEncoderFolder(folder);
    expect(files).toMatchObject({ pooling: 'cls', maxTokens: 24, prefixes: { passage: 'passage: ' } });
    expect(files.network.bert).toBeUndefined();
    // What is E5's in all but the prefixes has the hash that it always had.
    await writeFile(path.join(folder, '1_Pooling', 'config.json'), '{"pooling_mode": "mean"}');
    await writeFile(path.join(folder, 'sentence_bert_config.json'), '{"max_seq_length": 256}');
    expect((await readEncoderFolder(folder)).hash).toBe((await readEncoderFolder(onnx)).hash);
  });
});

describe('refused', () => {
  const modules = (...types: string[]) =>
    types.map((type, i) => ({ idx: i, name: `${i}`, path: i === 0 ? '' : `${i}_${type}`, type: `a.b.${type}` }));
  const [CONFIG, POOLING, PROMPTS] = ['config.json', '1_Pooling/config.json', 'config_sentence_transformers.json'];

  test.each<[string, Readonly<Record<string, object>>, RegExp]>([
    ['another type', { [CONFIG!]: { model_type: 'mpnet' } }, /config\.json: model_type: "mpnet".*expected "bert"/],
    ['an activation', { [CONFIG!]: { hidden_act: 'silu' } }, /hidden_act: "silu".*gelu, gelu_new/],
    [
      'positions',
      { [CONFIG!]: { position_embedding_type: 'relative_key' } },
      /position_embedding_type: "relative_key"/,
    ],
    ['a decoder', { [CONFIG!]: { is_decoder: true } }, /is_decoder: true/],
    ['quantized', { [CONFIG!]: { quantization_config: { bits: 4 } } }, /quantization_config/],
    ['heads', { [CONFIG!]: { num_attention_heads: 3 } }, /num_attention_heads: 3.*divisor of hidden_size \(16\)/],
    ['no number', { [CONFIG!]: { hidden_size: 'x' } }, /config\.json: hidden_size/],
    [
      'another width',
      { [CONFIG!]: { hidden_size: 8 } },
      /tensor "embeddings\.word_embeddings.weight".*\[18, 8\], found \[18, 16\]/,
    ],
    ['more layers', { [CONFIG!]: { num_hidden_layers: 3 } }, /"encoder\.layer\.2\.[a-z.]+" of shape .* is missing/],
    [
      'Dense',
      { 'modules.json': modules('Transformer', 'Pooling', 'Dense') },
      /module 2: "a\.b\.Dense" is not supported/,
    ],
    ['no pooling', { 'modules.json': modules('Transformer') }, /expected a Transformer and a Pooling/],
    ['another begin', { 'modules.json': modules('WordEmbeddings') }, /module 0: "a\.b\.WordEmbeddings"/],
    ['last token', { [POOLING!]: { pooling_mode: 'lasttoken' } }, /pooling lasttoken .*mean, cls, max/],
    ['two poolings', { [POOLING!]: { pooling_mode: ['cls', 'mean'] } }, /pooling cls with mean/],
    ['without prompt', { [POOLING!]: { include_prompt: false } }, /include_prompt/],
    ['another distance', { [PROMPTS!]: { similarity_fn_name: 'manhattan' } }, /similarity_fn_name: "manhattan"/],
    [
      'dot, not normalized',
      { 'modules.json': modules('Transformer', 'Pooling'), [PROMPTS!]: { similarity_fn_name: 'dot' } },
      /similarity_fn_name: "dot"/,
    ],
    ['shorter vectors', { [PROMPTS!]: { truncate_dim: 8 } }, /truncate_dim: 8/],
  ])('%s', async (_, changes, message) => {
    const folder = await variant(changes);
    await expect(withModel(folder, async () => {})).rejects.toThrow(message);
  });

  test('files that are missing', async () => {
    const without = async (name: string) => {
      const folder = await variant();
      await rm(path.join(folder, name));
      return withModel(folder, async () => {});
    };
    await expect(without('modules.json')).rejects.toThrow('no modules.json, and no onnx/model.onnx');
    await expect(without('model.safetensors')).rejects.toThrow('model.safetensors: no such file');
    await expect(without('tokenizer.json')).rejects.toMatchObject({ hint: expect.stringContaining('vocab.txt') });
    await expect(without('1_Pooling/config.json')).rejects.toThrow('1_Pooling/config.json: no such file');
  });

  test('a tokenizer with more words than the network', async () => {
    const folder = await variant();
    const file = path.join(folder, 'tokenizer.json');
    const json = JSON.parse(await readFile(file, 'utf8'));
    json.model.vocab.bergen = 99;
    await writeFile(file, JSON.stringify(json));
    await expect(withModel(folder, (encoder) => encoder.embed(['bergen']))).rejects.toThrow(/id 99.*vocab_size/);
  });

  test('E5’s form with another pooling than the mean', async () => {
    const folder = await writeTinyEncoder(path.join(place, 'e5'));
    await mkdir(path.join(folder, '1_Pooling'));
    await writeFile(path.join(folder, '1_Pooling', 'config.json'), '{"pooling_mode_cls_token": true}');
    await expect(readEncoderFolder(folder)).rejects.toThrow('does not pool by the mean');
    await rename(path.join(folder, 'onnx', 'model.onnx'), path.join(folder, 'model.onnx'));
    await rm(path.join(folder, '1_Pooling'), { recursive: true });
    expect((await readEncoderFolder(folder)).prefixes.query).toBe('query: ');
  });
});
