/** config.json of BERT, the tensors that it calls for, and what of BERT is not computed here. */
import { z } from 'zod';
import { configFields, LIMITS, refusalsOf } from '../../../checkpoint/config.ts';

/** By the names of transformers. */
const ACTIVATIONS = {
  gelu: 'gelu',
  gelu_new: 'gelu tanh',
  gelu_pytorch_tanh: 'gelu tanh',
  relu: 'relu',
} as const;
export type Activation = (typeof ACTIVATIONS)[keyof typeof ACTIVATIONS];

export interface BertConfig {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly intermediate: number;
  readonly positions: number;
  readonly types: number;
  readonly activation: Activation;
  readonly epsilon: number;
}

const upTo = (limit: number) => z.int().positive().max(limit);

const schema = z.looseObject({
  vocab_size: upTo(LIMITS.vocabulary),
  hidden_size: upTo(LIMITS.hidden),
  num_hidden_layers: upTo(LIMITS.layers),
  num_attention_heads: upTo(LIMITS.heads),
  intermediate_size: upTo(LIMITS.intermediate),
  // Two special tokens and something between.
  max_position_embeddings: upTo(LIMITS.contextLength).min(3),
  // The defaults of transformers, which leave a field out when it has its default.
  type_vocab_size: upTo(LIMITS.hidden).default(2),
  hidden_act: z.string().default('gelu'),
  layer_norm_eps: z.number().positive().default(1e-12),
  position_embedding_type: z.string().nullish(),
  is_decoder: z.boolean().nullish(),
  quantization_config: z.unknown().optional(),
});

/**
 * @param json of a model whose model_type is bert
 * @param file named in errors
 * @throws UserError for a missing or impossible field, and for what is not computed
 */
export function parseBertConfig(json: unknown, file: string): BertConfig {
  const fields = configFields(schema, json, file);
  const refuse = refusalsOf(file);
  const {
    hidden_act: act,
    hidden_size: hidden,
    num_attention_heads: heads,
    position_embedding_type: position,
  } = fields;
  if (!Object.hasOwn(ACTIVATIONS, act)) refuse('hidden_act', act, `one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  if ((position ?? 'absolute') !== 'absolute') refuse('position_embedding_type', position, '"absolute"');
  if (fields.is_decoder) refuse('is_decoder', true, 'an encoder');
  if (fields.quantization_config)
    refuse('quantization_config', fields.quantization_config, 'weights in full precision');
  if (hidden % heads !== 0) refuse('num_attention_heads', heads, `a divisor of hidden_size (${hidden})`);
  return {
    vocabulary: fields.vocab_size,
    hidden,
    layers: fields.num_hidden_layers,
    heads,
    intermediate: fields.intermediate_size,
    positions: fields.max_position_embeddings,
    types: fields.type_vocab_size,
    activation: ACTIVATIONS[act as keyof typeof ACTIVATIONS],
    epsilon: fields.layer_norm_eps,
  };
}

/** Shapes by name of all tensors that are computed with; a file may hold others, e.g. a pooler. */
export function bertShapes(config: BertConfig): Map<string, readonly number[]> {
  const { hidden, intermediate } = config;
  const shapes = new Map<string, readonly number[]>();
  const norm = (name: string) => {
    shapes.set(`${name}.weight`, [hidden]);
    shapes.set(`${name}.bias`, [hidden]);
  };
  const linear = (name: string, outputs: number, inputs: number) => {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    shapes.set(`${name}.bias`, [outputs]);
  };
  shapes.set('embeddings.word_embeddings.weight', [config.vocabulary, hidden]);
  shapes.set('embeddings.position_embeddings.weight', [config.positions, hidden]);
  shapes.set('embeddings.token_type_embeddings.weight', [config.types, hidden]);
  norm('embeddings.LayerNorm');
  for (let i = 0; i < config.layers; i++) {
    const layer = `encoder.layer.${i}`;
    for (const part of ['query', 'key', 'value']) linear(`${layer}.attention.self.${part}`, hidden, hidden);
    linear(`${layer}.attention.output.dense`, hidden, hidden);
    norm(`${layer}.attention.output.LayerNorm`);
    linear(`${layer}.intermediate.dense`, intermediate, hidden);
    linear(`${layer}.output.dense`, hidden, intermediate);
    norm(`${layer}.output.LayerNorm`);
  }
  return shapes;
}
