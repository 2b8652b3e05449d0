/** config.json of a Qwen2 model, as Hugging Face transformers 4 and 5 write it, and the shape that it describes. */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';

/** The shape of a model; every field is final, defaults of the format already applied. */
export interface ModelConfig {
  readonly family: 'qwen2';
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
  readonly rmsEpsilon: number;
  /** True: the head is the embedding, and there is no lm_head.weight. */
  readonly tiedHead: boolean;
  /** Longest sequence in tokens. */
  readonly contextLength: number;
}

const count = z.int().positive();
const positive = z.number().positive();

/** Rotary parameters stand in `rope_parameters` (transformers 5) or `rope_scaling` (4; `type` in its oldest form). */
const rotary = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: positive.optional(),
  partial_rotary_factor: z.number().optional(),
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
  // Defaults of transformers' Qwen2Config, which leaves a field out when it has its default.
  rms_norm_eps: positive.default(1e-6),
  tie_word_embeddings: z.boolean().default(false),
  max_position_embeddings: count.default(32768),
  hidden_act: z.string().default('silu'),
  use_sliding_window: z.boolean().nullish(),
  layer_types: z.array(z.string()).nullish(),
  quantization_config: z.unknown().optional(),
});

/**
 * Reads the parsed content of a config.json.
 * @param file named in errors
 * @throws UserError for another family than Qwen2, for a missing or impossible field, and for what the engines do not
 * compute: scaled or partial rotary positions, sliding windows, other activations than SiLU, quantized weights.
 */
export function parseConfig(json: unknown, file: string): ModelConfig {
  const family = z.looseObject({ model_type: z.string() }).safeParse(json);
  if (!family.success)
    throw new UserError(`${file}: model_type: expected the name of a model family, found none`, {
      hint: 'Give the config.json of a Hugging Face model.',
    });
  if (family.data.model_type !== 'qwen2')
    throw new UserError(`${file}: model_type: "${family.data.model_type}" is not supported`, {
      hint: 'The supported family is "qwen2" (Qwen2 and Qwen2.5).',
    });

  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new UserError(`${file}: ${issues.join('; ')}`);
  }
  const fields = parsed.data;
  const refuse = (field: string, found: unknown, expected: string): never => {
    throw new UserError(`${file}: ${field}: ${JSON.stringify(found)} is not supported, expected ${expected}`);
  };
  for (const field of ['rope_parameters', 'rope_scaling'] as const) {
    const kind = fields[field]?.rope_type ?? fields[field]?.type ?? 'default';
    if (kind !== 'default') refuse(`${field}.rope_type`, kind, '"default" (rotary positions without scaling)');
    const share = fields[field]?.partial_rotary_factor ?? 1;
    if (share !== 1) refuse(`${field}.partial_rotary_factor`, share, '1');
  }
  if (fields.hidden_act !== 'silu') refuse('hidden_act', fields.hidden_act, '"silu"');
  if (fields.use_sliding_window) refuse('use_sliding_window', true, 'false');
  const window = fields.layer_types?.find((type) => type !== 'full_attention');
  if (window !== undefined) refuse('layer_types', window, '"full_attention" in every layer');
  if (fields.quantization_config)
    refuse('quantization_config', fields.quantization_config, 'weights in full precision');

  const ropeTheta = fields.rope_parameters?.rope_theta ?? fields.rope_theta;
  if (ropeTheta === undefined)
    throw new UserError(`${file}: rope_theta (or rope_parameters.rope_theta): expected a positive number, found none`);
  const heads = fields.num_attention_heads;
  const keyValueHeads = fields.num_key_value_heads ?? heads;
  if (heads % keyValueHeads !== 0)
    refuse('num_key_value_heads', keyValueHeads, `a divisor of num_attention_heads (${heads})`);
  const headSize = fields.head_dim ?? fields.hidden_size / heads;
  if (headSize % 2 !== 0)
    refuse(
      fields.head_dim ? 'head_dim' : 'hidden_size',
      fields.head_dim ?? fields.hidden_size,
      `an even number of dimensions for each of ${heads} heads`,
    );

  return {
    family: 'qwen2',
    vocabulary: fields.vocab_size,
    hidden: fields.hidden_size,
    layers: fields.num_hidden_layers,
    heads,
    keyValueHeads,
    headSize,
    intermediate: fields.intermediate_size,
    ropeTheta,
    rmsEpsilon: fields.rms_norm_eps,
    tiedHead: fields.tie_word_embeddings,
    contextLength: fields.max_position_embeddings,
  };
}

/** The content of config.json for float32 weights of this shape, for transformers 4 and 5 (which names rope_theta twice). */
export function configJson(config: ModelConfig): Record<string, unknown> {
  return {
    architectures: ['Qwen2ForCausalLM'],
    model_type: 'qwen2',
    vocab_size: config.vocabulary,
    hidden_size: config.hidden,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.keyValueHeads,
    head_dim: config.headSize,
    intermediate_size: config.intermediate,
    hidden_act: 'silu',
    rms_norm_eps: config.rmsEpsilon,
    rope_theta: config.ropeTheta,
    rope_parameters: { rope_theta: config.ropeTheta, rope_type: 'default' },
    max_position_embeddings: config.contextLength,
    tie_word_embeddings: config.tiedHead,
    use_sliding_window: false,
    attention_dropout: 0,
    torch_dtype: 'float32',
    // The form that this file follows; without it, transformers 5 warns of a tokenizer defect that other families have.
    transformers_version: '4.57.0',
  };
}
