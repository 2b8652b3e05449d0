import { describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { configJson, parseConfig } from './config.ts';

/** Qwen/Qwen2.5-3B's config.json, as published (transformers 4). */
const QWEN_3B = {
  architectures: ['Qwen2ForCausalLM'],
  attention_dropout: 0.0,
  bos_token_id: 151643,
  eos_token_id: 151643,
  hidden_act: 'silu',
  hidden_size: 2048,
  initializer_range: 0.02,
  intermediate_size: 11008,
  max_position_embeddings: 32768,
  max_window_layers: 36,
  model_type: 'qwen2',
  num_attention_heads: 16,
  num_hidden_layers: 36,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000.0,
  sliding_window: 32768,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  transformers_version: '4.40.1',
  use_cache: true,
  use_mrope: false,
  use_sliding_window: false,
  vocab_size: 151936,
};

const EXPECTED = {
  family: 'qwen2',
  vocabulary: 151936,
  hidden: 2048,
  layers: 36,
  heads: 16,
  keyValueHeads: 2,
  headSize: 128,
  intermediate: 11008,
  ropeTheta: 1e6,
  rmsEpsilon: 1e-6,
  tiedHead: true,
  contextLength: 32768,
  specialTokens: { bos: 151643, eos: [151643] },
};

/** Qwen/Qwen3-0.6B's config.json, as published. */
const QWEN3 = {
  architectures: ['Qwen3ForCausalLM'],
  attention_bias: false,
  attention_dropout: 0.0,
  bos_token_id: 151643,
  eos_token_id: 151645,
  head_dim: 128,
  hidden_act: 'silu',
  hidden_size: 1024,
  initializer_range: 0.02,
  intermediate_size: 3072,
  max_position_embeddings: 40960,
  max_window_layers: 28,
  model_type: 'qwen3',
  num_attention_heads: 16,
  num_hidden_layers: 28,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  rope_scaling: null,
  rope_theta: 1000000,
  sliding_window: null,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  transformers_version: '4.51.0',
  use_cache: true,
  use_sliding_window: false,
  vocab_size: 151936,
};

/** meta-llama/Llama-3.2-1B's config.json, as published. */
const LLAMA = {
  architectures: ['LlamaForCausalLM'],
  attention_bias: false,
  attention_dropout: 0.0,
  bos_token_id: 128000,
  eos_token_id: 128001,
  head_dim: 64,
  hidden_act: 'silu',
  hidden_size: 2048,
  initializer_range: 0.02,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  mlp_bias: false,
  model_type: 'llama',
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 32.0,
    high_freq_factor: 4.0,
    low_freq_factor: 1.0,
    original_max_position_embeddings: 8192,
    rope_type: 'llama3',
  },
  rope_theta: 500000.0,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  transformers_version: '4.45.0.dev0',
  use_cache: true,
  vocab_size: 128256,
};

function without(field: keyof typeof QWEN_3B): Record<string, unknown> {
  return Object.fromEntries(Object.entries(QWEN_3B).filter(([name]) => name !== field));
}

describe('parseConfig', () => {
  it('reads what transformers 4 writes', () => {
    expect(parseConfig(QWEN_3B, 'config.json')).toEqual(EXPECTED);
  });

  it('reads what transformers 5 writes', () => {
    const rope_parameters = { rope_theta: 5e5, rope_type: 'default' };
    const json = { ...without('rope_theta'), rope_parameters, layer_types: ['full_attention'], head_dim: 64 };
    expect(parseConfig(json, 'config.json')).toEqual({ ...EXPECTED, ropeTheta: 5e5, headSize: 64 });
  });

  it('reads Qwen3, whose heads are 128 wide unless it says otherwise', () => {
    const expected = { family: 'qwen3', hidden: 1024, heads: 16, keyValueHeads: 8, headSize: 128, ropeTheta: 1e6 };
    expect(parseConfig(QWEN3, 'config.json')).toMatchObject(expected);
    expect(parseConfig({ ...QWEN3, head_dim: undefined }, 'config.json')).toMatchObject(expected);
  });

  it('reads Llama 3 with its scaled positions, in the form of transformers 4 and 5', () => {
    const { rope_scaling, rope_theta, ...rest } = LLAMA;
    const expected = {
      family: 'llama',
      headSize: 64,
      ropeTheta: 5e5,
      ropeScaling: {
        type: 'llama3',
        factor: 32,
        lowFrequencyFactor: 1,
        highFrequencyFactor: 4,
        originalContextLength: 8192,
      },
      rmsEpsilon: 1e-5,
      contextLength: 131072,
    };
    expect(parseConfig(LLAMA, 'config.json')).toMatchObject(expected);
    expect(parseConfig({ ...rest, rope_parameters: { ...rope_scaling, rope_theta } }, 'c')).toMatchObject(expected);
  });

  it('reads Llama 2, which names neither head size nor rope_theta, and linear positions', () => {
    const { rope_scaling, rope_theta, head_dim, tie_word_embeddings, max_position_embeddings, ...rest } = LLAMA;
    const found = parseConfig({ ...rest, rope_scaling: { type: 'linear', factor: 4 } }, 'config.json');
    expect(found).toMatchObject({ ropeTheta: 1e4, headSize: 64, tiedHead: false, contextLength: 2048 });
    expect(found.ropeScaling).toEqual({ type: 'linear', factor: 4 });
    expect(parseConfig(rest, 'config.json')).not.toHaveProperty('ropeScaling');
  });

  it('applies the defaults of the format', () => {
    const json = { ...without('tie_word_embeddings'), num_key_value_heads: null, head_dim: null, rope_scaling: null };
    expect(parseConfig(json, 'config.json')).toEqual({ ...EXPECTED, tiedHead: false, keyValueHeads: 16 });
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['another family', { model_type: 'mistral' }, /^m\/config\.json: model_type: "mistral" is not supported/],
    ['experts', { model_type: 'qwen3_moe' }, /model_type: "qwen3_moe"/],
    ["a property of all objects as a family's name", { model_type: 'toString' }, /model_type: "toString"/],
    ['scaled positions', { rope_scaling: { type: 'yarn', factor: 4 } }, /rope_scaling\.rope_type: "yarn"/],
    [
      'scaled positions (5)',
      { rope_parameters: { rope_type: 'dynamic', rope_theta: 1 } },
      /rope_parameters.*"dynamic"/,
    ],
    ['no factor', { rope_scaling: { type: 'linear' } }, /rope_scaling\.factor: expected a positive number, found none/],
    [
      'half a scaling',
      { rope_scaling: { type: 'llama3', low_freq_factor: 1 } },
      /rope_scaling\.high_freq_factor: .*none/,
    ],
    [
      'a scaling without a band',
      { rope_scaling: { ...LLAMA.rope_scaling, high_freq_factor: 1 } },
      /high_freq_factor: 1 .*more than low_freq_factor \(1\)/,
    ],
    ['biases of Llama', { model_type: 'llama', attention_bias: true }, /attention_bias: true .*expected false/],
    ['biases of its MLP', { model_type: 'llama', mlp_bias: true }, /mlp_bias: true .*expected false/],
    ['biases of Qwen3', { model_type: 'qwen3', attention_bias: true }, /attention_bias: true .*expected false/],
    ['partial positions', { rope_parameters: { partial_rotary_factor: 0.5 } }, /partial_rotary_factor: 0\.5/],
    [
      'a sliding window of the last layers',
      { use_sliding_window: true, sliding_window: 4096, max_window_layers: 35 },
      /use_sliding_window: true .*4096.*32768.*35.*36/,
    ],
    [
      'layers without number for the window',
      { use_sliding_window: true, sliding_window: 4096, max_window_layers: null },
      /\(28\)/,
    ],
    ['rope keys that are not understood', { rope_theta_2: 4 }, /config\.json: rope_theta_2: 4 is not supported/],
    ['positions by another key', { rotary_emb_base: 1e6 }, /rotary_emb_base: 1000000/],
    ['positions that are none', { position_embedding_type: 'alibi' }, /position_embedding_type: "alibi"/],
    ['partial positions of the whole file', { partial_rotary_factor: 0.25 }, /partial_rotary_factor: 0\.25/],
    ['a factor without a type', { rope_scaling: { factor: 4 } }, /rope_scaling\.factor: 4 .*rope_scaling\.rope_type/],
    ['a factor of the default type', { rope_scaling: { rope_type: 'default', factor: 4 } }, /rope_scaling\.factor: 4/],
    [
      'a key of another type',
      { rope_scaling: { type: 'linear', factor: 4, beta_fast: 32 } },
      /rope_scaling\.beta_fast: 32/,
    ],
    ['two types', { rope_scaling: { type: 'linear', rope_type: 'llama3', factor: 4 } }, /rope_scaling\.type: "linear"/],
    ['two bases', { rope_parameters: { rope_theta: 5 } }, /rope_parameters\.rope_theta: 5 .*rope_theta \(1000000\)/],
    [
      'two scalings',
      { rope_parameters: { rope_type: 'default' }, rope_scaling: { type: 'linear', factor: 4 } },
      /rope_scaling: \{.*rope_parameters/,
    ],
    [
      'scalings by kind of layer',
      { rope_parameters: { full_attention: { rope_theta: 5 } } },
      /rope_parameters\.full_attention/,
    ],
    [
      'a factor in words',
      { rope_scaling: { type: 'linear', factor: '4' } },
      /rope_scaling\.factor: expected .*found "4"/,
    ],
    ['a scaling in words', { rope_scaling: 'linear' }, /rope_scaling: expected an object, found "linear"/],
    ['a thousand million layers', { num_hidden_layers: 1e9 }, /num_hidden_layers: /],
    ['a vocabulary of 2^53 - 1', { vocab_size: 2 ** 53 - 1 }, /vocab_size: /],
    [
      'tables of positions that fill memory',
      { max_position_embeddings: 2 ** 22 },
      /max_position_embeddings: 4194304 .*at most 2097152/,
    ],
    [
      'layers with a window',
      { sliding_window: 4096, layer_types: ['full_attention', 'sliding_attention'] },
      /layer_types.*sliding/,
    ],
    ['another activation', { hidden_act: 'gelu' }, /hidden_act: "gelu".*"silu"/],
    ['quantized weights', { quantization_config: { bits: 4 } }, /quantization_config/],
    ['groups that do not divide', { num_key_value_heads: 3 }, /num_key_value_heads: 3 .*divisor.*16/],
    ['an odd head', { head_dim: 63 }, /head_dim: 63 .*even/],
    ['a fractional head', { hidden_size: 2050 }, /hidden_size: 2050 .*even number of dimensions for each of 16/],
    ['a wrong type', { hidden_size: '2048' }, /^m\/config\.json: hidden_size: .*expected number/],
    ['a negative count', { num_hidden_layers: 0 }, /num_hidden_layers/],
  ])('refuses %s', (_, change, message) => {
    const parse = () => parseConfig({ ...QWEN_3B, ...change }, 'm/config.json');
    expect(parse).toThrow(UserError);
    expect(parse).toThrow(message);
  });

  it('says which field is missing, and what the supported families are', () => {
    expect(() => parseConfig(without('vocab_size'), 'c.json')).toThrow(/^c\.json: vocab_size: /);
    expect(() => parseConfig(without('rope_theta'), 'c.json')).toThrow(/rope_theta .*found none/);
    for (const json of [without('model_type'), 'text', null])
      expect(() => parseConfig(json, 'c.json')).toThrow(/^c\.json: model_type: /);
    const error = (() => {
      try {
        return parseConfig({ model_type: 'gpt2' }, 'c.json');
      } catch (thrown) {
        return thrown;
      }
    })();
    expect((error as UserError).hint).toBe('The supported families are qwen2, qwen3, llama.');
  });
});

describe('parseConfig', () => {
  it('accepts a sliding window where every layer attends to all', () => {
    for (const windows of [
      { use_sliding_window: true, sliding_window: 4096, max_window_layers: 36 },
      { use_sliding_window: true, sliding_window: 32768, max_window_layers: 0 },
      { use_sliding_window: true, sliding_window: null, max_window_layers: 0 },
      { use_sliding_window: true, sliding_window: 4096, layer_types: new Array(36).fill('full_attention') },
      { use_sliding_window: true, sliding_window: 32768, layer_types: new Array(36).fill('sliding_attention') },
    ])
      expect(parseConfig({ ...QWEN_3B, ...windows }, 'c')).toEqual(EXPECTED);
  });

  it('says what was found however deep it is nested', () => {
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    for (const field of ['quantization_config', 'rope_scaling', 'rope_parameters', 'rotary', 'hidden_act', 'head_dim'])
      expect(() => parseConfig({ ...QWEN_3B, [field]: deep }, 'c')).toThrow(UserError);
    const long = 'x'.repeat(1e6);
    for (const field of ['model_type', 'hidden_act', 'rope_scaling'])
      expect(() => parseConfig({ ...QWEN_3B, [field]: long }, 'c')).toThrow(/^.{1,300}$/s);
  });

  it('keeps the special tokens, negative ids of old files apart', () => {
    const ids = (json: object) =>
      parseConfig({ ...without('bos_token_id'), eos_token_id: null, ...json }, 'c').specialTokens;
    expect(ids({})).toBeUndefined();
    expect(ids({ pad_token_id: -1, eos_token_id: [2, 3] })).toEqual({ eos: [2, 3] });
    expect(ids({ pad_token_id: 0, bos_token_id: 1, eos_token_id: 2 })).toEqual({ pad: 0, bos: 1, eos: [2] });
    for (const eos of [[2, 3], 2])
      expect(configJson(parseConfig({ ...QWEN_3B, eos_token_id: eos }, 'c')).eos_token_id).toEqual(eos);
  });

  it('takes the original context of Llama 3 from either place', () => {
    const { original_max_position_embeddings: original, ...rest } = LLAMA.rope_scaling;
    const outside = { ...LLAMA, rope_scaling: rest, original_max_position_embeddings: original };
    expect(parseConfig(outside, 'c')).toEqual(parseConfig(LLAMA, 'c'));
    expect(() => parseConfig({ ...LLAMA, original_max_position_embeddings: 4096 }, 'c')).toThrow(
      /original_max_position_embeddings: 4096 .*8192/,
    );
  });
});

describe('configJson', () => {
  it('is read back as it was', () => {
    const config = { ...parseConfig(QWEN_3B, 'config.json'), headSize: 96, tiedHead: false };
    expect(parseConfig(JSON.parse(JSON.stringify(configJson(config))), 'config.json')).toEqual(config);
  });

  it('keeps every field of a published configuration that says something about the shape', () => {
    const says = (json: Record<string, unknown>) =>
      Object.fromEntries(
        Object.entries(json).filter(
          ([name, value]) => value !== null && !/initializer|window|use_cache|mrope|pretraining|version/.test(name),
        ),
      );
    for (const json of [QWEN_3B, QWEN3, LLAMA])
      expect(configJson(parseConfig(json, 'config.json'), 'bfloat16')).toMatchObject(says(json));
  });

  it.each([
    ['linear', { type: 'linear', factor: 2 }],
    ['llama3', parseConfig(LLAMA, 'config.json').ropeScaling!],
  ] as const)('keeps scaled positions: %s', (_, ropeScaling) => {
    const config = { ...parseConfig(LLAMA, 'config.json'), ropeScaling };
    const json = configJson(config);
    expect(parseConfig(json, 'config.json')).toEqual(config);
    // Each of the two forms is enough.
    expect(parseConfig({ ...json, rope_parameters: undefined }, 'config.json')).toEqual(config);
    expect(parseConfig({ ...json, rope_scaling: undefined }, 'config.json')).toEqual(config);
  });
});
