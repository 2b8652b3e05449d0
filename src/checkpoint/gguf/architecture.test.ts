import { describe, expect, it } from 'vitest';
import { UserError } from '../../base/errors.ts';
import { configOf, ggufName, shortest } from './architecture.ts';
import { Metadata, type Value } from './metadata.ts';

/** SmolLM2-135M's, as published. */
const LLAMA: Record<string, Value> = {
  'general.architecture': 'llama',
  'general.type': 'model',
  'llama.block_count': 30,
  'llama.context_length': 8192,
  'llama.embedding_length': 576,
  'llama.feed_forward_length': 1536,
  'llama.attention.head_count': 9,
  'llama.attention.head_count_kv': 3,
  'llama.rope.freq_base': 100_000,
  'llama.attention.layer_norm_rms_epsilon': Math.fround(1e-5),
  'llama.vocab_size': 49_152,
  'llama.rope.dimension_count': 64,
  'tokenizer.ggml.bos_token_id': 1,
  'tokenizer.ggml.eos_token_id': 2,
  'tokenizer.ggml.padding_token_id': 4_294_967_295,
};
const about = { rows: 49_152, tied: true };
const parse = (change: Record<string, Value | undefined>, architecture = 'llama') => {
  const entries = Object.entries({ ...LLAMA, ...change }).flatMap(([key, value]) =>
    value === undefined ? [] : [[key.replace(/^llama\./, `${architecture}.`), value] as const],
  );
  return configOf(
    new Metadata(
      'm.gguf',
      new Map([...entries, ['general.architecture', change['general.architecture'] ?? architecture]]),
    ),
    'm.gguf',
    about,
  );
};
const list = (...values: number[]) => ({ length: values.length, values: () => values });

describe('configOf', () => {
  it('is the configuration that the model was published with', () => {
    expect(parse({})).toEqual({
      family: 'llama',
      vocabulary: 49_152,
      hidden: 576,
      layers: 30,
      heads: 9,
      keyValueHeads: 3,
      headSize: 64,
      intermediate: 1536,
      ropeTheta: 1e5,
      rmsEpsilon: 1e-5,
      tiedHead: true,
      contextLength: 8192,
      // An id beyond the vocabulary stands for none.
      specialTokens: { bos: 1, eos: [2] },
    });
  });

  it('takes the head size of qwen3 from its key length, and as many key heads as heads where none are named', () => {
    const found = parse(
      {
        'llama.attention.key_length': 128,
        'llama.attention.value_length': 128,
        'llama.rope.dimension_count': undefined,
        'llama.attention.head_count_kv': undefined,
      },
      'qwen3',
    );
    expect(found).toMatchObject({ family: 'qwen3', headSize: 128, heads: 9, keyValueHeads: 9 });
  });

  it('takes lists of equal numbers, one for each layer', () => {
    expect(parse({ 'llama.attention.head_count_kv': list(3, 3, 3) }).keyValueHeads).toBe(3);
    expect(() => parse({ 'llama.attention.head_count_kv': list(3, 9) })).toThrow(
      /head_count_kv: expected a whole number .* found a list of 2/,
    );
  });

  it('knows linear positions, by type or, as llama.cpp, without one', () => {
    const scaling = { type: 'linear', factor: 4 };
    expect(parse({ 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 4 }).ropeScaling).toEqual(scaling);
    expect(parse({ 'llama.rope.scaling.factor': 4 }).ropeScaling).toEqual(scaling);
    expect(parse({ 'llama.rope.scale_linear': 4 }).ropeScaling).toEqual(scaling);
    for (const none of [
      { 'llama.rope.scaling.type': 'none', 'llama.rope.scaling.factor': 4 },
      { 'llama.rope.scaling.factor': 1 },
    ])
      expect(parse(none)).not.toHaveProperty('ropeScaling');
  });

  it('names every end token once', () => {
    const ids = {
      'tokenizer.ggml.eot_token_id': 0,
      'tokenizer.ggml.eom_token_id': 2,
      'tokenizer.ggml.padding_token_id': 2,
    };
    expect(parse(ids).specialTokens).toEqual({ bos: 1, eos: [2, 0], pad: 2 });
  });

  it.each<[string, Record<string, Value | undefined>, RegExp]>([
    ['another architecture', { 'general.architecture': 'gemma3' }, /general\.architecture: "gemma3" is not supported/],
    ['the name of a property of all objects', { 'general.architecture': 'toString' }, /architecture: "toString"/],
    [
      'an architecture that is a number',
      { 'general.architecture': 7 },
      /general\.architecture: expected a text, found 7/,
    ],
    ['an adapter', { 'general.type': 'adapter' }, /general\.type: holds adapter, expected a model/],
    ['no layers', { 'llama.block_count': undefined }, /llama\.block_count is missing/],
    [
      'a thousand million layers',
      { 'llama.block_count': 1e9 },
      /llama\.block_count: expected a whole number from 1 to 1024/,
    ],
    ['half a layer', { 'llama.block_count': 1.5 }, /llama\.block_count/],
    ['layers in words', { 'llama.block_count': '30' }, /llama\.block_count: .*found "30"/],
    ['a layer count of 2^60', { 'llama.block_count': 2n ** 60n }, /llama\.block_count: .*1152921504606846976/],
    ['experts', { 'llama.expert_count': 8 }, /llama\.expert_count: 8 is not supported/],
    ['a key that is not known', { 'llama.attention.scale': 0.1 }, /llama\.attention\.scale: 0\.1 is not supported/],
    ['a key called like a property', { 'llama.constructor': 1 }, /llama\.constructor: 1 is not supported/],
    ['sections of positions', { 'llama.rope.dimension_sections': list(1, 2) }, /rope\.dimension_sections: a list of 2/],
    [
      'half-turned heads',
      { 'llama.rope.dimension_count': 32 },
      /rope\.dimension_count: 32 .*64 \(whole heads turned\)/,
    ],
    ['values of another length', { 'llama.attention.value_length': 32 }, /value_length: 32 .*values as long as keys/],
    ['yarn', { 'llama.rope.scaling.type': 'yarn', 'llama.rope.scaling.factor': 4 }, /rope\.scaling\.type: "yarn"/],
    ['a window', { 'llama.attention.sliding_window': 4096 }, /sliding_window: 4096 .*0 or at least 8192/],
    ['heads that do not divide', { 'llama.attention.head_count_kv': 2 }, /head_count_kv: 2 .*a divisor of 9/],
    ['odd heads', { 'llama.embedding_length': 575 }, /embedding_length: 575 .*even/],
    ['an epsilon of 0', { 'llama.attention.layer_norm_rms_epsilon': 0 }, /rms_epsilon: 0 .*positive/],
    ['no epsilon', { 'llama.attention.layer_norm_rms_epsilon': undefined }, /rms_epsilon/],
    ['a base that is no number', { 'llama.rope.freq_base': Number.NaN }, /freq_base: expected a number, found NaN/],
  ])('refuses %s', (_, change, message) => {
    expect(() => parse(change)).toThrow(UserError);
    expect(() => parse(change)).toThrow(message);
    expect(() => parse(change)).toThrow(/^m\.gguf: /);
  });

  it('says which architectures there are', () => {
    try {
      parse({ 'general.architecture': 'mamba' });
      expect.unreachable();
    } catch (error) {
      expect((error as UserError).hint).toBe('The supported architectures are qwen2, qwen3, llama.');
    }
  });
});

it('tensors have the names of ggml', () => {
  expect(
    [
      'model.embed_tokens.weight',
      'model.norm.weight',
      'lm_head.weight',
      'model.layers.12.mlp.down_proj.weight',
      'model.layers.0.self_attn.q_proj.bias',
      'model.layers.3.self_attn.k_norm.weight',
    ].map(ggufName),
  ).toEqual([
    'token_embd.weight',
    'output_norm.weight',
    'output.weight',
    'blk.12.ffn_down.weight',
    'blk.0.attn_q.bias',
    'blk.3.attn_k_norm.weight',
  ]);
});

it('numbers are written as short as float32 allows', () => {
  for (const value of [1e-5, 1e-6, 100_000, 5e5, 0.1, 1, 123_456.79]) expect(shortest(Math.fround(value))).toBe(value);
});
