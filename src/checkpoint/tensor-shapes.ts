/** The tensors of a model and of its LoRA adapter: Hugging Face's and PEFT's names, and their shapes. */
import type { ModelConfig } from './config.ts';
import { FAMILIES } from './families.ts';

/** Name to shape. Linear weights are [out, in]. */
export type TensorShapes = ReadonlyMap<string, readonly number[]>;

/** The seven linear layers of a block. */
export const LINEAR_LAYERS = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;
export type LinearLayer = (typeof LINEAR_LAYERS)[number];

/** [out, in] of a linear layer of a block. */
export function linearShape(config: ModelConfig, layer: LinearLayer): readonly [number, number] {
  const { hidden, intermediate } = config;
  const queries = config.heads * config.headSize;
  const keys = config.keyValueHeads * config.headSize;
  switch (layer) {
    case 'self_attn.q_proj':
      return [queries, hidden];
    case 'self_attn.k_proj':
    case 'self_attn.v_proj':
      return [keys, hidden];
    case 'self_attn.o_proj':
      return [hidden, queries];
    case 'mlp.gate_proj':
    case 'mlp.up_proj':
      return [intermediate, hidden];
    case 'mlp.down_proj':
      return [hidden, intermediate];
  }
}

/**
 * The tensors of a model. A tied head has no lm_head.weight.
 *
 * The weights of q, k and v follow one another, and so do their biases: laid out in this order, all three are one matrix.
 */
export function tensorShapes(config: ModelConfig): TensorShapes {
  const { vocabulary, hidden, headSize } = config;
  const { qkvBias, qkNorm } = FAMILIES[config.family];
  const shapes = new Map<string, readonly number[]>([['model.embed_tokens.weight', [vocabulary, hidden]]]);
  for (let layer = 0; layer < config.layers; layer++) {
    const add = (name: string, shape: readonly number[]) => shapes.set(`model.layers.${layer}.${name}`, shape);
    const weight = (name: LinearLayer) => add(`${name}.weight`, linearShape(config, name));
    const bias = (name: LinearLayer) => add(`${name}.bias`, [linearShape(config, name)[0]]);
    add('input_layernorm.weight', [hidden]);
    for (const name of ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] as const) weight(name);
    if (qkvBias) for (const name of ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] as const) bias(name);
    if (qkNorm) for (const name of ['self_attn.q_norm', 'self_attn.k_norm']) add(`${name}.weight`, [headSize]);
    weight('self_attn.o_proj');
    add('post_attention_layernorm.weight', [hidden]);
    for (const name of ['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'] as const) weight(name);
  }
  shapes.set('model.norm.weight', [hidden]);
  if (!config.tiedHead) shapes.set('lm_head.weight', [vocabulary, hidden]);
  return shapes;
}

/** Numbers in a model. */
export function parameterCount(config: ModelConfig): number {
  return [...tensorShapes(config).values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/**
 * The tensors of a LoRA adapter: A [rank, in] and B [out, rank] of every linear layer of every block, as PEFT names them.
 * The A of q, k and v follow one another: one [3 rank, hidden] matrix.
 */
export function adapterTensorShapes(config: ModelConfig, rank: number): TensorShapes {
  const shapes = new Map<string, readonly number[]>();
  for (let layer = 0; layer < config.layers; layer++) {
    for (const name of LINEAR_LAYERS) shapes.set(adapterNames(layer, name).a, [rank, linearShape(config, name)[1]]);
    for (const name of LINEAR_LAYERS) shapes.set(adapterNames(layer, name).b, [linearShape(config, name)[0], rank]);
  }
  return shapes;
}

/** The names of a linear layer's adapter matrices. */
export function adapterNames(layer: number, name: LinearLayer): { readonly a: string; readonly b: string } {
  const prefix = `base_model.model.model.layers.${layer}.${name}`;
  return { a: `${prefix}.lora_A.weight`, b: `${prefix}.lora_B.weight` };
}
