/** config.json of a model, as Hugging Face transformers 4 and 5 write it, and the shape that it describes. */
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { shown } from '../base/text.ts';
import { FAMILIES, type Family } from './families.ts';
import { parseRope, type RopeScaling, ropeJson } from './rope.ts';

export type { RopeScaling } from './rope.ts';

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
  /** As config.json names them; absent: it names none. */
  readonly specialTokens?: SpecialTokens;
}

/** Ids that say where texts begin and end. They decide nothing here, and are written back as they were read. */
export interface SpecialTokens {
  readonly bos?: number;
  /** Never empty. */
  readonly eos?: readonly number[];
  readonly pad?: number;
}

/**
 * The most that is believed of a count, far beyond any published model: one that a damaged or hostile file makes larger would
 * only fill memory before the weights show that it is wrong.
 */
export const LIMITS = {
  vocabulary: 2 ** 22,
  hidden: 2 ** 16,
  layers: 1024,
  heads: 1024,
  headSize: 2 ** 12,
  intermediate: 2 ** 18,
  contextLength: 2 ** 22,
  /** contextLength x headSize: the engine keeps tables of cosines and sines of so many values. */
  positions: 2 ** 28,
} as const;

const count = z.int().positive();
const upTo = (limit: number) => count.max(limit);
const tokenId = z.int().max(LIMITS.vocabulary);

const schema = z.looseObject({
  vocab_size: upTo(LIMITS.vocabulary),
  hidden_size: upTo(LIMITS.hidden),
  num_hidden_layers: upTo(LIMITS.layers),
  num_attention_heads: upTo(LIMITS.heads),
  num_key_value_heads: upTo(LIMITS.heads).nullish(),
  head_dim: upTo(LIMITS.headSize).nullish(),
  intermediate_size: upTo(LIMITS.intermediate),
  // The defaults of transformers' configuration classes, which leave a field out when it has its default.
  rms_norm_eps: z.number().positive().default(1e-6),
  tie_word_embeddings: z.boolean().default(false),
  max_position_embeddings: upTo(LIMITS.contextLength).optional(),
  hidden_act: z.string().default('silu'),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  use_sliding_window: z.boolean().nullish(),
  sliding_window: count.nullish(),
  max_window_layers: z.int().nonnegative().nullish(),
  layer_types: z.array(z.string()).nullish(),
  quantization_config: z.unknown().optional(),
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId).max(1000)]).nullish(),
  pad_token_id: tokenId.nullish(),
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
 * do not compute: rotary positions in any other form than rope.ts knows, sliding windows that leave something out, biases
 * that the family does not have, other activations than SiLU, quantized weights.
 */
export function parseConfig(json: unknown, file: string): ModelConfig {
  const family = familyOf(json, file);
  const fields = configFields(schema, json, file);
  const refuse = refusalsOf(file);
  if (fields.hidden_act !== 'silu') refuse('hidden_act', fields.hidden_act, '"silu"');
  // Qwen2 knows neither field and always has biases on q, k and v.
  if (family !== 'qwen2')
    for (const field of ['attention_bias', 'mlp_bias'] as const) if (fields[field]) refuse(field, true, 'false');
  if (fields.quantization_config)
    refuse('quantization_config', fields.quantization_config, 'weights in full precision');

  const defaults = FAMILY_DEFAULTS[family];
  const contextLength = fields.max_position_embeddings ?? defaults.contextLength;
  refuseWindows(fields, contextLength, refuse);
  const rope = parseRope(fields, file, defaults.ropeTheta);
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
  if (contextLength * headSize > LIMITS.positions)
    refuse(
      'max_position_embeddings',
      contextLength,
      `at most ${Math.floor(LIMITS.positions / headSize)} with such heads`,
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
    ropeTheta: rope.theta,
    ...(rope.scaling && { ropeScaling: rope.scaling }),
    rmsEpsilon: fields.rms_norm_eps,
    tiedHead: fields.tie_word_embeddings,
    contextLength,
    ...specialTokensOf(fields),
  };
}

/** @throws UserError naming the file and up to five fields that are not as the schema has them */
export function configFields<T>(schema: z.ZodType<T>, json: unknown, file: string): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new UserError(`${file}: ${issues.join('; ')}`);
}

type Refuse = (field: string, found: unknown, expected: string) => never;

/** Refuses what is well formed and not computed here. */
export function refusalsOf(file: string): Refuse {
  return (field, found, expected) => {
    throw new UserError(`${file}: ${field}: ${shown(found)} is not supported, expected ${expected}`);
  };
}

type Fields = z.infer<typeof schema>;

/** A window is accepted where it windows nothing: no layer has one, or it holds the longest sequence. */
function refuseWindows(fields: Fields, contextLength: number, refuse: Refuse): void {
  const { layer_types: types, sliding_window: window, num_hidden_layers: layers } = fields;
  if (window !== undefined && window !== null && window >= contextLength) {
    const strange = types?.find((type) => type !== 'full_attention' && type !== 'sliding_attention');
    if (strange !== undefined) refuse('layer_types', strange, '"full_attention" in every layer');
    return;
  }
  const windowed = types?.find((type) => type !== 'full_attention');
  if (windowed !== undefined) refuse('layer_types', windowed, '"full_attention" in every layer');
  // Without layer_types, layers from max_window_layers on have the window (28 is the default of transformers).
  const from = fields.max_window_layers ?? 28;
  if (!types && fields.use_sliding_window && typeof window === 'number' && from < layers)
    refuse(
      'use_sliding_window',
      true,
      `false, or a sliding_window (${window}) of at least max_position_embeddings (${contextLength}), or max_window_layers (${from}) of at least num_hidden_layers (${layers})`,
    );
}

/** Negative ids, as some old files have them, stand for none. */
function specialTokensOf(fields: Fields): { specialTokens?: SpecialTokens } {
  const id = (value: number | null | undefined) => (typeof value === 'number' && value >= 0 ? value : undefined);
  const [bos, pad] = [id(fields.bos_token_id), id(fields.pad_token_id)];
  const eos = [fields.eos_token_id ?? []].flat().filter((each) => each >= 0);
  const specialTokens: SpecialTokens = {
    ...(bos !== undefined && { bos }),
    ...(eos.length > 0 && { eos }),
    ...(pad !== undefined && { pad }),
  };
  return Object.keys(specialTokens).length === 0 ? {} : { specialTokens };
}

function familyOf(json: unknown, file: string): Family {
  const parsed = z.looseObject({ model_type: z.string() }).safeParse(json);
  if (!parsed.success)
    throw new UserError(`${file}: model_type: expected the name of a model family, found none`, {
      hint: 'Give the config.json of a Hugging Face model.',
    });
  const { model_type } = parsed.data;
  if (!Object.hasOwn(FAMILIES, model_type))
    throw new UserError(`${file}: model_type: ${shown(model_type)} is not supported`, {
      hint: `The supported families are ${Object.keys(FAMILIES).join(', ')}.`,
    });
  return model_type as Family;
}

/**
 * The content of config.json for weights of this shape, for transformers 4 and 5 (which names the rotary parameters twice).
 * @param dtype the type of number that the weights are kept in
 */
export function configJson(config: ModelConfig, dtype = 'float32'): Record<string, unknown> {
  const { family, ropeTheta: theta, ropeScaling: scaling, specialTokens } = config;
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
    ...ropeJson({ theta, ...(scaling && { scaling }) }),
    max_position_embeddings: config.contextLength,
    tie_word_embeddings: config.tiedHead,
    ...(family === 'llama' ? { mlp_bias: false } : { use_sliding_window: false }),
    ...(family !== 'qwen2' && { attention_bias: false }),
    attention_dropout: 0,
    ...(specialTokens?.bos !== undefined && { bos_token_id: specialTokens.bos }),
    ...(specialTokens?.eos && { eos_token_id: oneOrMany(specialTokens.eos) }),
    ...(specialTokens?.pad !== undefined && { pad_token_id: specialTokens.pad }),
    torch_dtype: dtype,
    // The form that this file follows; without it, transformers 5 warns of a tokenizer defect that other families have.
    transformers_version: '4.57.0',
  };
}

/** As transformers writes end tokens: a single one without a list. */
export function oneOrMany(ids: readonly number[]): number | readonly number[] {
  return ids.length === 1 ? ids[0]! : ids;
}
