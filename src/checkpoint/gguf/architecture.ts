/**
 * What a GGUF file calls the parts of a model, and how llama.cpp lays them out, beside Hugging Face's names and order.
 *
 *     token_embd, output_norm, output                          (no output: the head is the embedding)
 *     blk.N.{attn_norm, attn_q, attn_k, attn_v, attn_output, ffn_norm, ffn_gate, ffn_up, ffn_down}
 *     qwen2: biases of attn_q, attn_k, attn_v    qwen3: attn_q_norm, attn_k_norm    llama: rope_freqs
 */
import { UserError } from '../../base/errors.ts';
import { LIMITS, type ModelConfig, type SpecialTokens } from '../config.ts';
import { FAMILIES, type Family } from '../families.ts';
import type { RopeScaling } from '../rope.ts';
import type { Metadata } from './metadata.ts';

/** Hugging Face's part of a name between `model.layers.N.` and `.weight` or `.bias`, and ggml's. */
const IN_BLOCK: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};
const OUTSIDE: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
};
export const OUTPUT = 'output.weight';
export const EMBEDDING = 'token_embd.weight';
/** Llama 3.1 and later: what each rotary frequency is divided by. */
export const ROPE_FACTORS = 'rope_freqs.weight';

/** ggml's name of a tensor of `tensorShapes`. */
export function ggufName(name: string): string {
  const [, layer, part, kind] = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? [];
  if (layer !== undefined) return `blk.${layer}.${IN_BLOCK[part!]}.${kind}`;
  const [, outside] = /^(.+)\.weight$/.exec(name)!;
  return `${OUTSIDE[outside!]}.weight`;
}

/** The heads of a matrix whose rows llama.cpp keeps in another order; 0 where it does not. */
export function reorderedHeads(name: string, { family, heads, keyValueHeads }: ModelConfig): number {
  if (family !== 'llama') return 0;
  return name.endsWith('.q_proj.weight') ? heads : name.endsWith('.k_proj.weight') ? keyValueHeads : 0;
}

/**
 * Llama's rotary pairs are neighbours in llama.cpp and half a head apart in Hugging Face: rows [head, half, i] stand as
 * [head, i, half]. Reorders in place.
 */
export function reorderRows(values: Float32Array, heads: number, headSize: number, to: 'huggingface' | 'ggml'): void {
  const [half, width] = [headSize / 2, values.length / (heads * headSize)];
  const before = new Float32Array(headSize * width);
  for (let head = 0; head < heads; head++) {
    const part = values.subarray(head * before.length, (head + 1) * before.length);
    before.set(part);
    for (let row = 0; row < headSize; row++) {
      // Row i of half h is row 2 i + h among neighbours.
      const neighbour = 2 * (row % half) + Math.floor(row / half);
      const [source, target] = to === 'huggingface' ? [neighbour, row] : [row, neighbour];
      part.set(before.subarray(source * width, (source + 1) * width), target * width);
    }
  }
}

/** What each key beside those that are read may say: anything else changes what is computed, in a way that is not known here. */
const HARMLESS: Readonly<Record<string, (metadata: Metadata, key: string) => boolean>> = {
  vocab_size: () => true,
  'attention.layer_norm_epsilon': () => true,
  'attention.causal': (metadata, key) => metadata.boolean(key) === true,
  use_parallel_residual: (metadata, key) => metadata.boolean(key) === false,
  tensor_data_layout: () => true,
  pooling_type: () => true,
  expert_count: (metadata, key) => metadata.number(key) === 0,
  expert_used_count: (metadata, key) => metadata.number(key) === 0,
  'attention.max_alibi_bias': (metadata, key) => metadata.number(key) === 0,
  'attention.clamp_kqv': (metadata, key) => metadata.number(key) === 0,
  logit_scale: (metadata, key) => [0, 1].includes(metadata.number(key)!),
  'rope.scaling.original_context_length': () => true,
  'rope.scaling.finetuned': () => true,
  'rope.scaling.attn_factor': (metadata, key) => metadata.number(key) === 1,
};
const READ = [
  ...['block_count', 'context_length', 'embedding_length', 'feed_forward_length', 'attention.sliding_window'],
  ...['attention.head_count', 'attention.head_count_kv', 'attention.key_length', 'attention.value_length'],
  ...['attention.layer_norm_rms_epsilon', 'rope.freq_base', 'rope.dimension_count'],
  ...['rope.scaling.type', 'rope.scaling.factor', 'rope.scale_linear'],
];

/**
 * The shape of a model, from its metadata.
 * @param rows of the embedding
 * @param tied the file has no head of its own
 * @param ropeFactors of rope_freqs.weight, where it is there
 * @throws UserError naming file and key for another architecture, a missing or impossible value, and a key that is not understood
 */
export function configOf(
  metadata: Metadata,
  file: string,
  { rows, tied, ropeFactors }: { readonly rows: number; readonly tied: boolean; readonly ropeFactors?: Float32Array },
): ModelConfig {
  const family = familyOf(metadata, file);
  const key = (name: string) => `${family}.${name}`;
  const refuse = (name: string, expected: string): never => {
    throw new UserError(`${file}: ${name}: ${metadata.describe(name)} is not supported, expected ${expected}`);
  };
  const need = (name: string, most: number) => {
    const value = metadata.count(key(name), most);
    if (value === undefined) throw new UserError(`${file}: ${key(name)} is missing`);
    return value;
  };
  for (const each of metadata.keys) {
    const name = each.slice(family.length + 1);
    if (!each.startsWith(`${family}.`) || READ.includes(name)) continue;
    const harmless = Object.hasOwn(HARMLESS, name) ? HARMLESS[name] : undefined;
    if (!harmless?.(metadata, each)) refuse(each, 'a model without it: what it changes is not known here');
  }

  const [layers, hidden] = [need('block_count', LIMITS.layers), need('embedding_length', LIMITS.hidden)];
  const heads = need('attention.head_count', LIMITS.heads);
  const keyValueHeads = metadata.count(key('attention.head_count_kv'), LIMITS.heads) ?? heads;
  if (heads % keyValueHeads !== 0) refuse(key('attention.head_count_kv'), `a divisor of ${heads}`);
  const headSize = metadata.count(key('attention.key_length'), LIMITS.headSize) ?? hidden / heads;
  if (headSize % 2 !== 0) refuse(key('embedding_length'), `an even number of dimensions for each of ${heads} heads`);
  for (const [name, meaning] of [
    ['attention.value_length', 'values as long as keys'],
    ['rope.dimension_count', 'whole heads turned'],
  ] as const)
    if ((metadata.number(key(name)) ?? headSize) !== headSize) refuse(key(name), `${headSize} (${meaning})`);
  const contextLength = need('context_length', LIMITS.contextLength);
  if (contextLength * headSize > LIMITS.positions)
    refuse(key('context_length'), `at most ${Math.floor(LIMITS.positions / headSize)} with such heads`);
  const window = metadata.number(key('attention.sliding_window')) ?? 0;
  if (window > 0 && window < contextLength) refuse(key('attention.sliding_window'), `0 or at least ${contextLength}`);
  const rmsEpsilon = metadata.number(key('attention.layer_norm_rms_epsilon')) ?? 0;
  if (!(rmsEpsilon > 0)) refuse(key('attention.layer_norm_rms_epsilon'), 'a positive number');
  const ropeTheta = metadata.number(key('rope.freq_base')) ?? 10_000;
  if (!(ropeTheta > 0)) refuse(key('rope.freq_base'), 'a positive number');
  const ropeScaling = ropeFactors
    ? llama3Of(ropeFactors, shortest(ropeTheta), headSize, metadata, file)
    : scalingOf(metadata, key, refuse);
  const specialTokens = specialTokensOf(metadata, rows);

  return {
    family,
    vocabulary: rows,
    hidden,
    layers,
    heads,
    keyValueHeads,
    headSize,
    intermediate: need('feed_forward_length', LIMITS.intermediate),
    ropeTheta: shortest(ropeTheta),
    ...(ropeScaling && { ropeScaling }),
    rmsEpsilon: shortest(rmsEpsilon),
    tiedHead: tied,
    contextLength,
    ...(specialTokens && { specialTokens }),
  };
}

function familyOf(metadata: Metadata, file: string): Family {
  const kind = metadata.text('general.type') ?? 'model';
  if (kind !== 'model') throw new UserError(`${file}: general.type: holds ${kind}, expected a model`);
  const architecture = metadata.text('general.architecture');
  if (architecture !== undefined && Object.hasOwn(FAMILIES, architecture)) return architecture as Family;
  const found = architecture === undefined ? 'none' : metadata.describe('general.architecture');
  throw new UserError(`${file}: general.architecture: ${found} is not supported`, {
    hint: `The supported architectures are ${Object.keys(FAMILIES).join(', ')}.`,
  });
}

type Refuse = (name: string, expected: string) => never;

/** llama.cpp takes a factor without a type for linear. */
function scalingOf(metadata: Metadata, key: (name: string) => string, refuse: Refuse): RopeScaling | undefined {
  const type = metadata.text(key('rope.scaling.type')) ?? 'linear';
  const factor = metadata.number(key('rope.scaling.factor')) ?? metadata.number(key('rope.scale_linear')) ?? 1;
  if (type === 'none' || (type === 'linear' && (factor === 1 || factor === 0))) return undefined;
  if (type !== 'linear') refuse(key('rope.scaling.type'), '"none" or "linear"');
  if (!(factor > 0)) refuse(key('rope.scaling.factor'), 'a positive number');
  return { type: 'linear', factor: shortest(factor) };
}

/**
 * The scaling of Llama 3 from what it makes of the frequencies: a frequency f is divided by 1 where it turns more often than
 * `high` times in the original context, by `factor` where fewer than `low` times, and between the two by
 *
 *     1 / (s + (1 − s) / factor),    s = (original f / 2π − low) / (high − low)
 *
 * so that s is a straight line over f. Only the ratios of original, low and high count; low is 1 in every published model.
 */
function llama3Of(
  factors: Float32Array,
  theta: number,
  headSize: number,
  metadata: Metadata,
  file: string,
): RopeScaling | undefined {
  const refuse = () =>
    new UserError(
      `${file}: ${ROPE_FACTORS}: these factors of the rotary frequencies are none that Llama 3's rule makes`,
    );
  if (factors.length !== headSize / 2) throw refuse();
  if (factors.every((factor) => factor === 1)) return undefined;
  const factor = shortest(Math.max(...factors));
  const turns = Array.from(factors, (_, i) => theta ** (-i / (headSize / 2)) / (2 * Math.PI));
  const share = (i: number) => (1 / factors[i]! - 1 / factor) / (1 - 1 / factor);
  const between = turns.flatMap((_, i) => (factors[i]! > 1 && factors[i]! < factor ? [i] : []));
  const stated = metadata.number(`llama.rope.scaling.original_context_length`);
  const candidates: [original: number, high: number][] = [8192, ...(stated === undefined ? [] : [stated])].map(
    (original) => [original, 4],
  );
  if (between.length >= 2) {
    const [first, last] = [between[0]!, between.at(-1)!];
    const slope = (share(first) - share(last)) / (turns[first]! - turns[last]!);
    const atZero = share(first) - slope * turns[first]!;
    const high = 1 - 1 / atZero;
    candidates.push([Math.round(slope * (high - 1)), shortest(Math.round(high * 1000) / 1000)]);
  }
  for (const [originalContextLength, highFrequencyFactor] of candidates) {
    if (!(factor > 1 && highFrequencyFactor > 1 && originalContextLength >= 1)) continue;
    const fits = turns.every((turn, i) => {
      const kept = Math.min(1, Math.max(0, (originalContextLength * turn - 1) / (highFrequencyFactor - 1)));
      return Math.abs(factors[i]! * (kept + (1 - kept) / factor) - 1) < 1e-4;
    });
    if (fits) return { type: 'llama3', factor, lowFrequencyFactor: 1, highFrequencyFactor, originalContextLength };
  }
  throw refuse();
}

/** What `llama3Of` reads back: the number that each frequency is divided by. */
export function ropeFactorsOf({ ropeScaling, ropeTheta, headSize }: ModelConfig): Float32Array | undefined {
  if (ropeScaling?.type !== 'llama3') return undefined;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContextLength } = ropeScaling;
  return Float32Array.from({ length: headSize / 2 }, (_, i) => {
    const turns = (originalContextLength * ropeTheta ** (-i / (headSize / 2))) / (2 * Math.PI);
    const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return 1 / (kept + (1 - kept) / factor);
  });
}

/** Ids beyond the vocabulary stand for none, as in llama.cpp. */
function specialTokensOf(metadata: Metadata, rows: number): SpecialTokens | undefined {
  const id = (name: string) => {
    const found = metadata.number(`tokenizer.ggml.${name}_token_id`);
    return found !== undefined && Number.isInteger(found) && found >= 0 && found < rows ? found : undefined;
  };
  const [bos, pad] = [id('bos'), id('padding')];
  const eos = [...new Set([id('eos'), id('eot'), id('eom')])].filter((each) => each !== undefined);
  if (bos === undefined && pad === undefined && eos.length === 0) return undefined;
  return { ...(bos !== undefined && { bos }), ...(eos.length > 0 && { eos }), ...(pad !== undefined && { pad }) };
}

/** The shortest decimal number that is the same float32: 1e-5, where the file has 9.999999747378752e-6. */
export function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}
