import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { configJson, type ModelConfig } from './config.ts';
import { readModel, writeModel } from './model-directory.ts';
import { readSafetensors, safetensorsBytes, type Tensor } from './safetensors.ts';
import { lacks, reference, shared } from './shared.testing.ts';
import { tensorShapes } from './tensor-shapes.ts';
import { loadTokenizer } from './tokenizer.ts';
import { wordTokenizerJson } from './word-tokenizer.ts';

const TIED: ModelConfig = {
  family: 'qwen2',
  vocabulary: 7,
  hidden: 8,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 6,
  intermediate: 5,
  ropeTheta: 1e4,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 16,
};

/** Weights that differ in every element. */
function weightsOf(config: ModelConfig): Map<string, Tensor> {
  let next = 0;
  const weights = new Map<string, Tensor>();
  for (const [name, shape] of tensorShapes(config)) {
    const size = shape.reduce((product, length) => product * length, 1);
    weights.set(name, { shape, data: Float32Array.from({ length: size }, () => next++) });
  }
  return weights;
}

const plain = (weights: ReadonlyMap<string, Tensor>) =>
  Object.fromEntries([...weights].map(([name, { shape, data }]) => [name, { shape, data }]));

let root: string;
let folder: string;
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'search-e1-model-'));
});
beforeEach(async () => {
  folder = path.join(root, String(count++));
  await mkdir(folder);
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function put(name: string, content: string | Map<string, Tensor>): Promise<void> {
  const data = typeof content === 'string' ? content : Buffer.concat(safetensorsBytes(content));
  await writeFile(path.join(folder, name), data);
}

async function putModel(weights: Map<string, Tensor>, config = TIED): Promise<void> {
  await put('config.json', JSON.stringify(configJson(config)));
  await put('model.safetensors', weights);
}

/** A file with one more tensor, of any type. */
function withTensor(
  weights: Map<string, Tensor>,
  name: string,
  dtype: string,
  shape: readonly number[],
  values: Float64Array | Float32Array | Uint8Array,
): Buffer {
  const plain = Buffer.concat(safetensorsBytes(weights));
  const end = 8 + Number(plain.readBigUInt64LE());
  const header = JSON.parse(plain.toString('utf8', 8, end));
  const data_offsets = [plain.length - end, plain.length - end + values.byteLength];
  const json = Buffer.from(JSON.stringify({ ...header, [name]: { dtype, shape, data_offsets } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, plain.subarray(end), Buffer.from(values.buffer)]);
}

describe('writeModel', () => {
  it.each([true, false])('is read back as it was (tied head: %s)', async (tiedHead) => {
    const config = { ...TIED, tiedHead };
    const weights = weightsOf(config);
    await writeModel(folder, { config, weights });
    const found = await readModel(folder);
    expect(found.config).toEqual(config);
    expect(plain(found.weights)).toEqual(plain(weights));
    expect((await readdir(folder)).sort()).toEqual(['config.json', 'model.safetensors']);
  });

  it('keeps the tokenizer and the generation settings beside the weights', async () => {
    const json = wordTokenizerJson(['yes', 'no'], ['<q>', '</q>']);
    const chatTemplate = '{{ messages[0].content }}!';
    const generation = '{"eos_token_id": 2}';
    await writeModel(folder, { config: TIED, weights: weightsOf(TIED), tokenizer: { json, chatTemplate, generation } });
    expect(await readFile(path.join(folder, 'tokenizer.json'), 'utf8')).toBe(json);
    const tokenizer = await loadTokenizer(folder);
    expect([tokenizer.encode('<q>no</q>'), tokenizer.chat('yes')]).toEqual([[0, 4, 1], 'yes!']);
    expect(await readFile(path.join(folder, 'generation_config.json'), 'utf8')).toBe(generation);
    expect(tokenizer.endTokens).toEqual([2]);
    expect(JSON.parse(await readFile(path.join(folder, 'tokenizer_config.json'), 'utf8'))).toEqual({
      tokenizer_class: 'PreTrainedTokenizerFast',
    });
  });

  it('keeps special tokens and generation settings, with and without a tokenizer', async () => {
    const config = { ...TIED, specialTokens: { bos: 1, eos: [2, 3], pad: 0 } };
    const weights = weightsOf(config);
    await writeModel(folder, { config, weights, generation: '{"eos_token_id": [2, 3, 4]}' });
    expect(await readModel(folder)).toEqual({ config, weights });
    expect(await readFile(path.join(folder, 'generation_config.json'), 'utf8')).toBe('{"eos_token_id": [2, 3, 4]}');
  });

  it.each([
    ['qwen3', { family: 'qwen3' }],
    ['llama', { family: 'llama', tiedHead: false, ropeScaling: { type: 'linear', factor: 2 } }],
  ] satisfies [string, Partial<ModelConfig>][])('keeps the tensors of the family: %s', async (family, change) => {
    const config = { ...TIED, ...change };
    const weights = weightsOf(config);
    await writeModel(folder, { config, weights });
    expect(await readModel(folder)).toEqual({ config, weights });
    expect([...weights.keys()].some((name) => name.endsWith('q_norm.weight'))).toBe(family === 'qwen3');
    expect([...weights.keys()].some((name) => name.endsWith('.bias'))).toBe(false);
    await put('config.json', JSON.stringify(configJson({ ...TIED, tiedHead: config.tiedHead })));
    await expect(readModel(folder)).rejects.toThrow(
      /"model\.layers\.0\.self_attn\.q_proj\.bias" of shape \[24\] is missing/,
    );
  });

  it.each([
    ['F16', 'float16'],
    ['BF16', 'bfloat16'],
  ] as const)('keeps weights in %s, rounded', async (dtype, name) => {
    const weights = weightsOf(TIED);
    // Both types hold these whole numbers exactly, and nothing between them that is so near.
    for (const { data } of weights.values())
      for (let i = 0; i < data.length; i++) data[i] = 128 + (data[i]! % 128) + 2 ** -12;
    await writeModel(folder, { config: TIED, weights }, { dtype });
    const found = await readModel(folder);
    const tensor = 'model.layers.0.self_attn.q_proj.bias';
    expect(found.weights.get(tensor)!.data).toEqual(weights.get(tensor)!.data.map((value) => Math.round(value)));
    const json = JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8')) as { torch_dtype: string };
    expect(json.torch_dtype).toBe(name);
    const stored = await readSafetensors(path.join(folder, 'model.safetensors'));
    for (const tensor of stored.values()) expect(tensor.dtype).toBe(dtype);
  });

  it('cuts large weights into shards, with the index that transformers reads', async () => {
    const weights = weightsOf(TIED);
    await put('model.safetensors', new Map());
    await writeModel(folder, { config: TIED, weights }, { shardBytes: 1000 });
    const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors'));
    expect(names.length).toBeGreaterThan(3);
    const index = JSON.parse(await readFile(path.join(folder, 'model.safetensors.index.json'), 'utf8')) as {
      metadata: { total_size: number };
      weight_map: Record<string, string>;
    };
    expect(Object.keys(index.weight_map)).toEqual([...weights.keys()]);
    expect([...new Set(Object.values(index.weight_map))]).toEqual(names.sort());
    expect(names[0]).toBe(`model-00001-of-0000${names.length}.safetensors`);
    const values = [...weights.values()].reduce((sum, tensor) => sum + tensor.data.length, 0);
    expect(index.metadata.total_size).toBe(4 * values);
    for (const name of names) expect((await readSafetensors(path.join(folder, name))).size).toBeGreaterThan(0);
    expect(plain((await readModel(folder)).weights)).toEqual(plain(weights));
  });

  it('writes nothing when weights and configuration disagree', async () => {
    const writing = writeModel(folder, { config: TIED, weights: weightsOf({ ...TIED, layers: 1 }) });
    await expect(writing).rejects.toThrow(/"model\.layers\.1\.input_layernorm\.weight" of shape \[8\] is missing/);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('readModel', () => {
  it('puts shards together', async () => {
    const weights = weightsOf(TIED);
    const shards = [new Map<string, Tensor>(), new Map<string, Tensor>()];
    const weight_map: Record<string, string> = {};
    [...weights].forEach(([name, tensor], i) => {
      shards[i % 2]!.set(name, tensor);
      weight_map[name] = `model-0000${(i % 2) + 1}-of-00002.safetensors`;
    });
    await put('config.json', JSON.stringify(configJson(TIED)));
    await put('model.safetensors.index.json', JSON.stringify({ metadata: { total_size: 1 }, weight_map }));
    await put('model-00001-of-00002.safetensors', shards[0]!);
    await expect(readModel(folder)).rejects.toThrow(/model-00002-of-00002\.safetensors: no such file/);
    await put('model-00002-of-00002.safetensors', shards[1]!);
    expect(plain((await readModel(folder)).weights)).toEqual(plain(weights));

    await put('model-00002-of-00002.safetensors', weights);
    await expect(readModel(folder)).rejects.toThrow(/00002\.safetensors: tensor ".*" stands in another shard/);
  });

  it('refuses an index that points out of the folder or is none', async () => {
    await put('config.json', JSON.stringify(configJson(TIED)));
    const long = `${'x'.repeat(300)}.safetensors`;
    for (const name of ['../x.safetensors', '/x.safetensors', '..\\x', '..', 'a\0.safetensors', 'x.bin', long]) {
      await put('model.safetensors.index.json', JSON.stringify({ weight_map: { a: name } }));
      await expect(readModel(folder)).rejects.toThrow(
        /index\.json: weight_map\.a: expected the name of a \.safetensors file/,
      );
    }
    await put('model.safetensors.index.json', '{}');
    await expect(readModel(folder)).rejects.toThrow(/index\.json: weight_map/);
  });

  it('leaves out what repeats the configuration', async () => {
    const weights = weightsOf(TIED);
    const extra = new Map(weights)
      .set('lm_head.weight', weights.get('model.embed_tokens.weight')!)
      .set('model.layers.0.self_attn.rotary_emb.inv_freq', { shape: [3], data: new Float32Array(3) });
    await putModel(extra);
    expect(plain((await readModel(folder)).weights)).toEqual(plain(weights));
  });

  it('refuses a head of its own where it is said to be the embedding, in any family and shard', async () => {
    for (const family of ['qwen2', 'qwen3', 'llama'] as const) {
      const config = { ...TIED, family };
      const weights = weightsOf(config);
      const head = Float32Array.from(weights.get('model.embed_tokens.weight')!.data);
      head[head.length - 1]! += 1;
      const own = new Map([['lm_head.weight', { shape: [7, 8], data: head }]]);
      await putModel(new Map([...own, ...weights]), config);
      await expect(readModel(folder)).rejects.toThrow(
        /model\.safetensors: tensor "lm_head\.weight" differs from the embedding/,
      );
      await rm(path.join(folder, 'model.safetensors'));
      for (const [name, shard] of Object.entries({ one: own, two: weights })) await put(`${name}.safetensors`, shard);
      const weight_map = { 'lm_head.weight': 'one.safetensors', other: 'two.safetensors' };
      await put('model.safetensors.index.json', JSON.stringify({ weight_map }));
      await expect(readModel(folder)).rejects.toThrow(/one\.safetensors: tensor "lm_head\.weight" differs/);
      // With the flag corrected it is the head.
      await put('config.json', JSON.stringify(configJson({ ...config, tiedHead: false })));
      expect((await readModel(folder)).weights.get('lm_head.weight')!.data).toEqual(head);
    }
  });

  it('passes over stored frequencies of any type, but not those of another base', async () => {
    const weights = weightsOf(TIED);
    const name = 'model.layers.0.self_attn.rotary_emb.inv_freq';
    const series = (theta: number) => [0, 1, 2].map((i) => theta ** (-i / 3));
    const check = async (dtype: string, values: Float64Array | Float32Array | Uint8Array, config = TIED) => {
      await putModel(weights, config);
      await put('config.json', JSON.stringify(configJson(config)));
      await writeFile(path.join(folder, 'model.safetensors'), withTensor(weights, name, dtype, [3], values));
      return readModel(folder);
    };
    const linear = { ...TIED, ropeScaling: { type: 'linear', factor: 4 } } as const;
    for (const config of [TIED, linear])
      expect(plain((await check('F64', Float64Array.from(series(1e4)), config)).weights)).toEqual(plain(weights));
    await check('F32', Float32Array.from(series(1e4)));
    await check('F64', Float64Array.of(0, 0, 0));
    await check('F8_E4M3', new Uint8Array(3));
    await expect(check('F64', Float64Array.from(series(1e6)))).rejects.toThrow(
      /inv_freq" .*another rope_theta .*10000/,
    );
    await expect(check('F32', Float32Array.from(series(1e6)))).rejects.toThrow(/value 1 is 0\.00999/);
  });

  it('refuses weights of float64, and names the type', async () => {
    const weights = weightsOf(TIED);
    const { shape, data } = weights.get('model.norm.weight')!;
    weights.delete('model.norm.weight');
    await putModel(weights);
    const bytes = withTensor(weights, 'model.norm.weight', 'F64', shape, Float64Array.from(data));
    await writeFile(path.join(folder, 'model.safetensors'), bytes);
    await expect(readModel(folder)).rejects.toThrow(/"model\.norm\.weight": values of type F64 are not supported/);
  });

  it.each<[string, (name: string) => string, RegExp]>([
    [
      'lacks a prefix',
      (name) => name.replace(/^model\./, ''),
      /the file has "embed_tokens\.weight": its names lack "model\." in front/,
    ],
    [
      'has a prefix too much',
      (name) => `language_model.${name}`,
      /has "language_model\.model\.embed_tokens\.weight": its names have "language_model\." in front/,
    ],
    [
      'is written otherwise',
      (name) => name.replace('embed_tokens', 'embed_token'),
      /nearest name in the file is "model\.embed_token\.weight"/,
    ],
    [
      'has other names',
      (name) => `${[...name].map((c) => c.charCodeAt(0)).join('')}`,
      /has 26 other tensors, e\.g\. "109/,
    ],
  ])('says what is there in place of a missing tensor: the file %s', async (_, rename, message) => {
    await putModel(new Map([...weightsOf(TIED)].map(([name, tensor]) => [rename(name), tensor])));
    await expect(readModel(folder)).rejects.toThrow(/"model\.embed_tokens\.weight" of shape \[7, 8\] is missing; /);
    await expect(readModel(folder)).rejects.toThrow(message);
  });

  it('says what to do where only the head is missing', async () => {
    await putModel(weightsOf(TIED), { ...TIED, tiedHead: false });
    const error: UserError = await readModel(folder).then(
      () => expect.unreachable(),
      (thrown) => thrown,
    );
    expect(error.message).toMatch(/"lm_head\.weight" of shape \[7, 8\] is missing$/);
    expect(error.hint).toMatch(/tie_word_embeddings to true/);
  });

  it('takes no memory for a configuration that the weights do not bear out', async () => {
    await putModel(weightsOf(TIED));
    const huge = { ...configJson(TIED), vocab_size: 2 ** 22, hidden_size: 2 ** 16, num_hidden_layers: 1024 };
    await put('config.json', JSON.stringify(huge));
    await expect(readModel(folder)).rejects.toThrow(/makes its shape \[4194304, 65536\], found \[7, 8\]/);
  });

  it.each<[string, (weights: Map<string, Tensor>) => unknown, RegExp]>([
    [
      'a missing tensor',
      (weights) => weights.delete('model.norm.weight'),
      /"model\.norm\.weight" of shape \[8\] is missing/,
    ],
    [
      'another shape',
      (weights) => weights.set('model.norm.weight', { shape: [1, 8], data: new Float32Array(8) }),
      /"model\.norm\.weight": config\.json makes its shape \[8\], found \[1, 8\]/,
    ],
    [
      'a tensor too many',
      (weights) => weights.set('model.layers.2.mlp.up_proj.weight', { shape: [1], data: new Float32Array(1) }),
      /unexpected tensor "model\.layers\.2\.mlp\.up_proj\.weight" of shape \[1\]/,
    ],
    [
      'a head of another size where it is tied',
      (weights) => weights.set('lm_head.weight', { shape: [1, 8], data: new Float32Array(8) }),
      /"lm_head\.weight": config\.json makes its shape \[7, 8\], found \[1, 8\]/,
    ],
  ])('refuses %s', async (_, change, message) => {
    const weights = weightsOf(TIED);
    change(weights);
    await putModel(weights);
    const reading = readModel(folder);
    await expect(reading).rejects.toThrow(UserError);
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(folder);
  });

  it('says which file is missing', async () => {
    await expect(readModel(folder)).rejects.toThrow(/not a model directory \(it has no config\.json\)/);
    await put('config.json', JSON.stringify(configJson(TIED)));
    await expect(readModel(folder)).rejects.toThrow(/expected model\.safetensors or model\.safetensors\.index\.json/);
  });
});

describe('models that transformers wrote (tests/reference)', () => {
  const common = { vocabulary: 80, hidden: 24, layers: 2, intermediate: 40, contextLength: 64 };
  it.each([
    ['qwen2', { family: 'qwen2', heads: 3, keyValueHeads: 1, headSize: 8, tiedHead: true }, 26],
    ['qwen3', { family: 'qwen3', heads: 2, keyValueHeads: 1, headSize: 16, tiedHead: false }, 25],
    ['llama', { family: 'llama', heads: 3, keyValueHeads: 3, headSize: 8, tiedHead: false }, 21],
  ])('%s has the shape and the tensors that its configuration calls for', async (name, shape, tensors) => {
    const { config, weights } = await readModel(reference(name));
    expect(config).toMatchObject({ ...common, ...shape });
    expect(weights.size).toBe(tensors);
  });
});

describe.skipIf(lacks('checkpoints', 'tiny-qwen2-tied'))('a model that transformers wrote', () => {
  it('has the tensors that its configuration calls for', async () => {
    const { config, weights } = await readModel(shared('checkpoints', 'tiny-qwen2-tied'));
    expect(config).toMatchObject({ vocabulary: 320, hidden: 64, layers: 3, headSize: 16, tiedHead: true });
    expect(weights.size).toBe(38);
  });
});
