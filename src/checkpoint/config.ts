/** config.json of a model, as Hugging Face transformers 4 and 5 write it, and the shape that it describes. */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { shown } from '../base/text.ts';
import { FAMILIES, type Family } from './families.ts';

/** The shape of a model; every field is final, defaults of the format already applied. */
export interface ModelConfig {
  readonly family: Family;
  /** Rows of the embedding; at least the tokenizer's id space. */
  readonly vocabulary: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  /** Divides heads: grouped-query attention. */
  readonly keyValueHeads: number;
  /** Even; heads x headSize need not equal hidden. */
  readonly headSize: number;
  readonly intermediate: number;
  readonly ropeTheta: number;
  /** How the rotary frequencies θ_i = ropeTheta^(−2i / headSize) are changed for longer contexts; absent: not at all. */
  readonly ropeScaling?: RopeScaling;
  readonly rmsEpsilon: number;
  /** True: the head is the embedding, and there is no lm_head.weight. */
  readonly tiedHead: boolean;
  /** Longest sequence in tokens. */
  readonly contextLength: number;
}

/** Linear (position interpolation, Chen et al. 2023): θ_i / factor. Llama 3: see `rotaryFrequencies`. */
export type RopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      /** Larger than lowFrequencyFactor. */
      readonly highFrequencyFactor: number;
      /** Context length before scaling, in tokens. */
      readonly originalContextLength: number;
    };

const count = z.int().positive();
const positive = z.number().positive();

/** Rotary parameters stand in `rope_parameters` (transformers 5) or `rope_scaling` (4; `type` in its oldest form). */
const rotary = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: positive.optional(),
  partial_rotary_factor: z.number().optional(),
  factor: positive.optional(),
  low_freq_factor: positive.optional(),
  high_freq_factor: positive.optional(),
  original_max_position_embeddings: count.optional(),
});

const schema = z.looseObject({
  vocab_size: count,
  hidden_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  intermediate_size: count,
  rope_theta: positive.optional(),
  rope_parameters: rotary.nullish(),
  rope_scaling: rotary.nullish(),
  // The defaults of transformers' configuration classes, which leave a field out when it has its default.
  rms_norm_eps: positive.default(1e-6),
  tie_word_embeddings: z.boolean().default(false),
  max_position_embeddings: count.optional(),
  hidden_act: z.string().default('silu'),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  use_sliding_window: z.boolean().nullish(),
  layer_types: z.array(z.string()).nullish(),
  quantization_config: z.unknown().optional(),
});

/** Defaults that differ between transformers' classes; Llama 1 and 2 do not name their rope_theta. */
const FAMILY_DEFAULTS: Record<Family, { contextLength: number; headSize?: number; ropeTheta?: number }> = {
  qwen2: { contextLength: 32768 },
  qwen3: { contextLength: 32768, headSize: 128 },
  llama: { contextLength: 2048, ropeTheta: 10_000 },
};

/**
 * Reads the parsed content of a config.json.
 * @param file named in errors
 * @throws UserError for a family that is not in `FAMILIES`, for a missing or impossible field, and for what the engines
 * do not compute: rotary positions that are partial or scaled in other ways than `RopeScaling`, sliding windows, biases
 * that the family does not have, other activations than SiLU, quantized weights.
 */
export function parseConfig(json: unknown, file: string): ModelConfig {
  const family = familyOf(json, file);
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new UserError(`${file}: ${issues.join('; ')}`);
  }
  const fields = parsed.data;
  const refuse = (field: string, found: unknown, expected: string): never => {
    throw new UserError(`${file}: ${field}: ${shown(found)} is not supported, expected ${expected}`);
  };
  if (fields.hidden_act !== 'silu') refuse('hidden_act', fields.hidden_act, '"silu"');
  // Qwen2 knows neither field and always has biases on q, k and v.
  if (family !== 'qwen2')
    for (const field of ['attention_bias', 'mlp_bias'] as const) if (fields[field]) refuse(field, true, 'false');
  if (fields.use_sliding_window) refuse('use_sliding_window', true, 'false');
  const window = fields.layer_types?.find((type) => type !== 'full_attention');
  if (window !== undefined) refuse('layer_types', window, '"full_attention" in every layer');
  if (fields.quantization_config)
    refuse('quantization_config', fields.quantization_config, 'weights in full precision');

  const defaults = FAMILY_DEFAULTS[family];
  const ropeTheta = fields.rope_parameters?.rope_theta ?? fields.rope_theta ?? defaults.ropeTheta;
  if (ropeTheta === undefined)
    throw new UserError(`${file}: rope_theta (or rope_parameters.rope_theta): expected a positive number, found none`);
  const ropeScaling = ropeScalingOf(fields, file, refuse);
  const heads = fields.num_attention_heads;
  const keyValueHeads = fields.num_key_value_heads ?? heads;
  if (heads % keyValueHeads !== 0)
    refuse('num_key_value_heads', keyValueHeads, `a divisor of num_attention_heads (${heads})`);
  const headSize = fields.head_dim ?? defaults.headSize ?? fields.hidden_size / heads;
  if (headSize % 2 !== 0)
    refuse(
      fields.head_dim ? 'head_dim' : 'hidden_size',
      fields.head_dim ?? fields.hidden_size,
      `an even number of dimensions for each of ${heads} heads`,
    );

  return {
    family,
    vocabulary: fields.vocab_size,
    hidden: fields.hidden_size,
    layers: fields.num_hidden_layers,
    heads,
    keyValueHeads,
    headSize,
    intermediate: fields.intermediate_size,
    ropeTheta,
    ...(ropeScaling && { ropeScaling }),
    rmsEpsilon: fields.rms_norm_eps,
    tiedHead: fields.tie_word_embeddings,
    contextLength: fields.max_position_embeddings ?? defaults.contextLength,
  };
}

function familyOf(json: unknown, file: string): Family {
  const parsed = z.looseObject({ model_type: z.string() }).safeParse(json);
  if (!parsed.success)
    throw new UserError(`${file}: model_type: expected the name of a model family, found none`, {
      hint: 'Give the config.json of a Hugging Face model.',
    });
  const { model_type } = parsed.data;
  if (!Object.hasOwn(FAMILIES, model_type))
    throw new UserError(`${file}: model_type: "${model_type}" is not supported`, {
      hint: `The supported families are ${Object.keys(FAMILIES).join(', ')}.`,
    });
  return model_type as Family;
}

type Refuse = (field: string, found: unknown, expected: string) => never;

function ropeScalingOf(fields: z.infer<typeof schema>, file: string, refuse: Refuse): RopeScaling | undefined {
  for (const field of ['rope_parameters', 'rope_scaling'] as const) {
    const rope = fields[field];
    if (!rope) continue;
    const share = rope.partial_rotary_factor ?? 1;
    if (share !== 1) refuse(`${field}.partial_rotary_factor`, share, '1');
    const need = (name: 'factor' | 'low_freq_factor' | 'high_freq_factor' | 'original_max_position_embeddings') => {
      const value = rope[name];
      if (value === undefined) throw new UserError(`${file}: ${field}.${name}: expected a positive number, found none`);
      return value;
    };
    const type = rope.rope_type ?? rope.type ?? 'default';
    if (type === 'linear') return { type, factor: need('factor') };
    if (type === 'llama3') {
      const [low, high] = [need('low_freq_factor'), need('high_freq_factor')];
      if (high <= low) refuse(`${field}.high_freq_factor`, high, `more than low_freq_factor (${low})`);
      return {
        type,
        factor: need('factor'),
        lowFrequencyFactor: low,
        highFrequencyFactor: high,
        originalContextLength: need('original_max_position_embeddings'),
      };
    }
    if (type !== 'default') refuse(`${field}.rope_type`, type, '"default", "linear" or "llama3"');
  }
  return undefined;
}

/**
 * The content of config.json for weights of this shape, for transformers 4 and 5 (which names the rotary parameters twice).
 * @param dtype the type of number that the weights are kept in
 */
export function configJson(config: ModelConfig, dtype = 'float32'): Record<string, unknown> {
  const { family, ropeTheta, ropeScaling } = config;
  const scaling = ropeScaling && scalingJson(ropeScaling);
  return {
    architectures: [FAMILIES[family].architecture],
    model_type: family,
    vocab_size: config.vocabulary,
    hidden_size: config.hidden,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.keyValueHeads,
    head_dim: config.headSize,
    intermediate_size: config.intermediate,
    hidden_act: 'silu',
    rms_norm_eps: config.rmsEpsilon,
    rope_theta: ropeTheta,
    ...(scaling && { rope_scaling: scaling }),
    rope_parameters: { rope_theta: ropeTheta, ...(scaling ?? { rope_type: 'default' }) },
    max_position_embeddings: config.contextLength,
    tie_word_embeddings: config.tiedHead,
    ...(family === 'llama' ? { mlp_bias: false } : { use_sliding_window: false }),
    ...(family !== 'qwen2' && { attention_bias: false }),
    attention_dropout: 0,
    torch_dtype: dtype,
    // The form that this file follows; without it, transformers 5 warns of a tokenizer defect that other families have.
    transformers_version: '4.57.0',
  };
}

function scalingJson(scaling: RopeScaling): Record<string, unknown> {
  if (scaling.type === 'linear') return { rope_type: 'linear', factor: scaling.factor };
  return {
    rope_type: 'llama3',
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.originalContextLength,
  };
}
