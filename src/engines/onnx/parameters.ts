/**
 * Where each parameter lives in the one flat Float32Array of a model, under its Hugging Face name.
 *
 * q, k and v projections lie next to one another (weights, then biases), so that one view of the flat array is the
 * matrix of all three: [(heads + 2 keyValueHeads) * headSize, hidden].
 */
import type { ModelConfig } from '../../checkpoint/config.ts';

export type { ModelConfig } from '../../checkpoint/config.ts';

export interface ParameterEntry {
  readonly name: string;
  /** Matrices are [out, in]. */
  readonly shape: readonly number[];
  /** First element in the flat array. */
  readonly offset: number;
  readonly size: number;
}

export interface ParameterLayout {
  readonly entries: readonly ParameterEntry[];
  /** Length of the flat array. */
  readonly total: number;
  readonly byName: ReadonlyMap<string, ParameterEntry>;
}

/** The seven linear layers of a block, in the order of the layout. */
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

/** All parameters of a model. A tied head has no `lm_head.weight`. */
export function layoutOf(config: ModelConfig): ParameterLayout {
  const shapes: [string, readonly number[]][] = [['model.embed_tokens.weight', [config.vocabulary, config.hidden]]];
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const weight = (name: LinearLayer): [string, readonly number[]] => [
      `${prefix}.${name}.weight`,
      linearShape(config, name),
    ];
    const bias = (name: LinearLayer): [string, readonly number[]] => [
      `${prefix}.${name}.bias`,
      [linearShape(config, name)[0]],
    ];
    shapes.push(
      [`${prefix}.input_layernorm.weight`, [config.hidden]],
      weight('self_attn.q_proj'),
      weight('self_attn.k_proj'),
      weight('self_attn.v_proj'),
      bias('self_attn.q_proj'),
      bias('self_attn.k_proj'),
      bias('self_attn.v_proj'),
      weight('self_attn.o_proj'),
      [`${prefix}.post_attention_layernorm.weight`, [config.hidden]],
      weight('mlp.gate_proj'),
      weight('mlp.up_proj'),
      weight('mlp.down_proj'),
    );
  }
  shapes.push(['model.norm.weight', [config.hidden]]);
  if (!config.tiedHead) shapes.push(['lm_head.weight', [config.vocabulary, config.hidden]]);
  return layout(shapes);
}

/**
 * All parameters of a LoRA adapter: A [rank, in] and B [out, rank] of each linear layer of each block, named as the
 * PEFT library names them. The A of q, k and v lie next to one another: one [3 rank, hidden] matrix.
 */
export function adapterLayoutOf(config: ModelConfig, rank: number): ParameterLayout {
  const shapes: [string, readonly number[]][] = [];
  for (let layer = 0; layer < config.layers; layer++) {
    for (const name of LINEAR_LAYERS) shapes.push([adapterNames(layer, name).a, [rank, linearShape(config, name)[1]]]);
    for (const name of LINEAR_LAYERS) shapes.push([adapterNames(layer, name).b, [linearShape(config, name)[0], rank]]);
  }
  return layout(shapes);
}

/** The names of a linear layer's adapter matrices. */
export function adapterNames(layer: number, name: LinearLayer): { readonly a: string; readonly b: string } {
  const prefix = `base_model.model.model.layers.${layer}.${name}`;
  return { a: `${prefix}.lora_A.weight`, b: `${prefix}.lora_B.weight` };
}

/** The part of a flat array that belongs to `first`, up to and with `last` where several lie next to one another. */
export function viewOf(layout: ParameterLayout, flat: Float32Array, first: string, last: string = first): Float32Array {
  const from = layout.byName.get(first)!;
  const to = layout.byName.get(last)!;
  return flat.subarray(from.offset, to.offset + to.size);
}

/** The name of the parameter that owns an element of the flat array. */
export function nameAt(layout: ParameterLayout, element: number): string {
  return layout.entries.find((entry) => element < entry.offset + entry.size)!.name;
}

function layout(shapes: readonly [string, readonly number[]][]): ParameterLayout {
  let total = 0;
  const entries = shapes.map(([name, shape]) => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    const entry = { name, shape, offset: total, size };
    total += size;
    return entry;
  });
  return { entries, total, byName: new Map(entries.map((entry) => [entry.name, entry])) };
}
