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

  it('applies the defaults of the format', () => {
    const json = { ...without('tie_word_embeddings'), num_key_value_heads: null, head_dim: null, rope_scaling: null };
    expect(parseConfig(json, 'config.json')).toEqual({ ...EXPECTED, tiedHead: false, keyValueHeads: 16 });
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['another family', { model_type: 'llama' }, /^m\/config\.json: model_type: "llama" is not supported/],
    ['scaled positions', { rope_scaling: { type: 'yarn', factor: 4 } }, /rope_scaling\.rope_type: "yarn"/],
    ['scaled positions (5)', { rope_parameters: { rope_type: 'linear', rope_theta: 1 } }, /rope_parameters.*"linear"/],
    ['partial positions', { rope_parameters: { partial_rotary_factor: 0.5 } }, /partial_rotary_factor: 0\.5/],
    ['a sliding window', { use_sliding_window: true }, /use_sliding_window/],
    ['layers with a window', { layer_types: ['full_attention', 'sliding_attention'] }, /layer_types.*sliding/],
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
    expect((error as UserError).hint).toContain('qwen2');
  });
});

describe('configJson', () => {
  it('is read back as it was', () => {
    const config = { ...parseConfig(QWEN_3B, 'config.json'), headSize: 96, tiedHead: false };
    expect(parseConfig(JSON.parse(JSON.stringify(configJson(config))), 'config.json')).toEqual(config);
  });

  it('gives what transformers needs to choose the class', () => {
    expect(configJson(parseConfig(QWEN_3B, 'config.json'))).toMatchObject({
      architectures: ['Qwen2ForCausalLM'],
      model_type: 'qwen2',
      torch_dtype: 'float32',
    });
  });
});
