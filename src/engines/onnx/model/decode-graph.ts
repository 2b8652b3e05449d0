/**
 * The forward pass of sampling but for attention, which is between the stages (paged-cache.ts):
 *
 *     stage 0          embedded tokens ─► q, k, v of layer 0
 *     stage l          what layer l−1 attended to ─► MLP ─► q, k, v of layer l
 *     stage `layers`   what the last layer attended to ─► MLP ─► logits ─► probabilities
 *
 * A stage sees T tokens, of whichever sequences: nothing in it looks from one token to another, so there is no padding.
 *
 * Weights are initialisers, which ONNX Runtime packs once for its matrix products. With `bits` 8 or 4 the matrices are
 * quantised (integer-product.ts and quantise.ts), the head always to 8 bits: a token's probability hangs on it directly.
 */
import { FAMILIES } from '../../../checkpoint/families.ts';
import { Graph, type TensorName } from '../../../onnx/graph.ts';
import { type IntegerRows, integerProduct, quantiseColumns, quantiseRows } from './integer-product.ts';
import { layoutOf, type ModelConfig, type ParameterEntry, type ParameterLayout, viewOf } from './parameters.ts';
import { BLOCK, quantise } from './quantise.ts';

/** 32: as they are. */
export type DecodeBits = 32 | 8 | 4;

/** The ONNX model of one stage. `weights` is flat, as `layoutOf` says; it is copied into the model. */
export function stageModel(config: ModelConfig, weights: Float32Array, stage: number, bits: DecodeBits): Uint8Array {
  const builder = new StageBuilder(config, weights, bits);
  const x = stage === 0 ? builder.embedded() : builder.block(stage - 1);
  if (stage < config.layers) builder.project(x, stage);
  else builder.distribution(x);
  return builder.graph.build();
}

/** The parameters that a stage holds. */
export function stageParameters(config: ModelConfig, stage: number): ParameterEntry[] {
  return layoutOf(config).entries.filter(({ name }) => {
    const [, layer, part] = /layers\.(\d+)\.(.*)/.exec(name) ?? [];
    if (part === undefined) return stage === config.layers && (name !== EMBEDDING || config.tiedHead);
    const firstHalf = /^(input_layernorm|self_attn\.([qkv]_proj|[qk]_norm))/.test(part);
    return Number(layer) === (firstHalf ? stage : stage - 1);
  });
}

export const EMBEDDING = 'model.embed_tokens.weight';

class StageBuilder {
  readonly graph = new Graph();
  readonly #config: ModelConfig;
  readonly #weights: Float32Array;
  readonly #bits: DecodeBits;
  readonly #layout: ParameterLayout;
  readonly #rows = new Map<TensorName, IntegerRows>();

  constructor(config: ModelConfig, weights: Float32Array, bits: DecodeBits) {
    this.#config = config;
    this.#weights = weights;
    this.#bits = bits;
    this.#layout = layoutOf(config);
  }

  /** Rows of the embedding, [T, hidden], looked up by the caller. */
  embedded(): TensorName {
    return this.graph.input('embedded', 'float32', ['T', this.#config.hidden]);
  }

  /**
   * A layer's first half. Outputs: `newResidual` [T, hidden], `newQuery` and `newKey` [T, 1, their heads D], turned to their
   * `positions` [T, 1], and `newValue` [T, its heads D]. `cosine` and `sine` are the tables of rotary.ts.
   */
  project(x: TensorName, layer: number): void {
    const { graph } = this;
    const { family, heads, keyValueHeads, headSize, hidden } = this.#config;
    const { qkvBias, qkNorm } = FAMILIES[family];
    const [queries, keys] = [heads * headSize, keyValueHeads * headSize];
    const positions = graph.input('positions', 'int64', ['T', 1]);
    const cosine = graph.input('cosine', 'float32', ['table', headSize / 2]);
    const sine = graph.input('sine', 'float32', ['table', headSize / 2]);

    const prefix = `model.layers.${layer}.self_attn`;
    const normalised = this.#norm(x, `model.layers.${layer}.input_layernorm.weight`);
    const bias = qkvBias && this.#stacked(`${prefix}.q_proj.bias`, `${prefix}.v_proj.bias`, [queries + 2 * keys]);
    const weights = [`${prefix}.q_proj.weight`, `${prefix}.v_proj.weight`] as const;
    const all = this.#linear(normalised, weights, [queries + 2 * keys, hidden], bias || undefined);
    const [projected, value] = graph.ops(2, 'Split', [all, graph.integers([queries + keys, keys])], { axis: 1 });

    const turning = qkNorm ? this.#normHeads(projected!, prefix) : projected!;
    const shaped = graph.op('Reshape', [turning, graph.integers([-1, 1, queries + keys])]);
    const turned = graph.microsoft('RotaryEmbedding', [shaped, positions, cosine, sine]);
    const [query, key] = graph.ops(2, 'Split', [turned, graph.integers([queries, keys])], { axis: 2 });
    graph.output('newQuery', 'float32', ['T', 1, queries], query);
    graph.output('newKey', 'float32', ['T', 1, keys], key);
    graph.output('newValue', 'float32', ['T', keys], value);
    graph.output('newResidual', 'float32', ['T', hidden], x);
  }

  /** RMSNorm of each head of q and k, which stand side by side: [T, (heads + keyValueHeads) D]. */
  #normHeads(projected: TensorName, prefix: string): TensorName {
    const { graph } = this;
    const { heads, keyValueHeads, headSize } = this.#config;
    const sizes = graph.integers([heads * headSize, keyValueHeads * headSize]);
    const [query, key] = graph.ops(2, 'Split', [projected, sizes], { axis: 1 });
    const each = (x: TensorName, count: number, weight: string) => {
      const normalised = this.#norm(graph.op('Reshape', [x, graph.integers([-1, headSize])]), weight);
      return graph.op('Reshape', [normalised, graph.integers([-1, count * headSize])]);
    };
    const parts = [
      each(query!, heads, `${prefix}.q_norm.weight`),
      each(key!, keyValueHeads, `${prefix}.k_norm.weight`),
    ];
    return graph.op('Concat', parts, { axis: 1 });
  }

  /** A layer's second half, [T, hidden], from `residual` of its first half and `attended` [T, heads D]. */
  block(layer: number): TensorName {
    const { graph } = this;
    const { hidden, intermediate, heads, headSize } = this.#config;
    const residual = graph.input('residual', 'float32', ['T', hidden]);
    const attended = graph.input('attended', 'float32', ['T', heads * headSize]);
    const prefix = `model.layers.${layer}`;
    const linear = (input: TensorName, name: string, shape: readonly [number, number]) =>
      this.#linear(input, [`${prefix}.${name}.weight`], shape);
    const x = graph.op('Add', [residual, linear(attended, 'self_attn.o_proj', [hidden, heads * headSize])]);

    // y = x + (SiLU(h Wgateᵀ) ∘ h Wupᵀ) Wdownᵀ;  QuickGelu with alpha 1 is SiLU.
    const h = this.#norm(x, `${prefix}.post_attention_layernorm.weight`);
    const [up, down] = [[intermediate, hidden] as const, [hidden, intermediate] as const];
    const gate = graph.microsoft('QuickGelu', [linear(h, 'mlp.gate_proj', up)], { alpha: { float: 1 } });
    const mixed = graph.op('Mul', [gate, linear(h, 'mlp.up_proj', up)]);
    return graph.op('Add', [x, linear(mixed, 'mlp.down_proj', down)]);
  }

  /**
   * Output: `probabilities` [T, vocabulary], softmax(logits / temperature), `temperature` [T, 1]. Logarithms are left to
   * the caller: ONNX Runtime's differ in the last bit between the ends and the middle of a vector.
   */
  distribution(x: TensorName): void {
    const { graph } = this;
    const { tiedHead, vocabulary, hidden } = this.#config;
    const temperature = graph.input('temperature', 'float32', ['T', 1]);
    const head = [tiedHead ? EMBEDDING : 'lm_head.weight'] as const;
    const bits = this.#bits === 32 ? 32 : 8;
    const logits = this.#linear(this.#norm(x, 'model.norm.weight'), head, [vocabulary, hidden], undefined, bits);
    const scaled = graph.op('Div', [logits, temperature]);
    graph.output('probabilities', 'float32', ['T', vocabulary], graph.op('Softmax', [scaled], { axis: 1 }));
  }

  /** x Wᵀ + bias, [rows, out], for one matrix [out, in] or for several that lie next to one another (first and last). */
  #linear(
    x: TensorName,
    [first, last = first]: readonly [string, string?],
    shape: readonly [number, number],
    bias?: TensorName,
    bits = this.#bits,
  ): TensorName {
    const { graph } = this;
    if (bits === 32) {
      const weight = this.#stacked(first, last, shape);
      return graph.op('Gemm', bias ? [x, weight, bias] : [x, weight], { transB: 1 });
    }
    const [out, width] = shape;
    const matrix = viewOf(this.#layout, this.#weights, first, last);
    const product =
      bits === 8
        ? integerProduct(graph, this.#integerRows(x, width), first, quantiseColumns(matrix, width))
        : this.#inBlocks(x, first, matrix, [out, width]);
    return bias ? graph.op('Add', [product, bias]) : product;
  }

  /** Once for all that it is multiplied with. */
  #integerRows(x: TensorName, width: number): IntegerRows {
    const rows = this.#rows.get(x) ?? quantiseRows(this.graph, x, width);
    this.#rows.set(x, rows);
    return rows;
  }

  /** The product with a matrix in 4 bits, stored under `name`. */
  #inBlocks(x: TensorName, name: string, matrix: Float32Array, [out, width]: readonly [number, number]): TensorName {
    const { graph } = this;
    const { codes, scales, blocks } = quantise(matrix, width);
    const weight = graph.initializer(name, 'uint8', [out, blocks, BLOCK / 2], codes);
    const scale = graph.initializer(`${name} scales`, 'float32', [out, blocks], scales);
    // Accuracy level 4: the rows of x are quantised to 8 bits by blocks, too, and products are taken in integers.
    const attributes = { N: out, K: width, bits: 4, block_size: BLOCK, accuracy_level: 4 };
    return graph.microsoft('MatMulNBits', [x, weight, scale], attributes);
  }

  #norm(x: TensorName, weight: string): TensorName {
    const attributes = { axis: -1, epsilon: { float: this.#config.rmsEpsilon }, stash_type: 1 };
    return this.graph.op('SimplifiedLayerNormalization', [x, this.#parameter(weight)], attributes);
  }

  #parameter(name: string): TensorName {
    return this.#stacked(name, name, this.#layout.byName.get(name)!.shape);
  }

  /** Parameters that lie next to one another, as one. */
  #stacked(first: string, last: string, shape: readonly number[]): TensorName {
    return this.graph.initializer(first, 'float32', shape, viewOf(this.#layout, this.#weights, first, last));
  }
}
