/**
 * The forward pass of sampling, cut into stages where keys and values have to be written into the cache:
 *
 *     stage 0          ids ─► embedding ─► normalised ─► q, k, v of layer 0
 *     stage l          q, cache of layer l−1 ─► attention ─► MLP ─► q, k, v of layer l
 *     stage `layers`   q, cache of the last layer ─► attention ─► MLP ─► logits ─► one token drawn for each row
 *
 * Between two stages the caller writes the new rows of k and v into the cache, so that attention reads nothing but the
 * cache: caches are inputs and never outputs (which ONNX Runtime copies), and a token's numbers are the same
 * to the bit whether it came alone, in a chunk, or beside other sequences.
 *
 * N sequences, S new tokens of each, P cached positions, R rows of each group's attention (`attentionRows`).
 * Weights are initialisers, which ONNX Runtime packs once for its matrix products.
 */
import { FAMILIES } from '../../checkpoint/families.ts';
import { Graph, type TensorName } from './graph.ts';
import { layoutOf, type ModelConfig, type ParameterLayout, viewOf } from './parameters.ts';

/** Numbers of sequences that share one key-value head: at least two, see `attention`. */
export function attentionRows({ heads, keyValueHeads }: ModelConfig): number {
  return Math.max(2, heads / keyValueHeads);
}

/** The ONNX model of one stage. `weights` is flat, as `layoutOf` says; it is copied into the model. */
export function stageModel(config: ModelConfig, weights: Float32Array, stage: number): Uint8Array {
  const builder = new StageBuilder(config, weights);
  const x = stage === 0 ? builder.embed() : builder.block(stage - 1);
  if (stage < config.layers) builder.project(x, stage);
  else builder.draw(x);
  return builder.graph.build();
}

class StageBuilder {
  readonly graph = new Graph();
  readonly #config: ModelConfig;
  readonly #weights: Float32Array;
  readonly #layout: ParameterLayout;

  constructor(config: ModelConfig, weights: Float32Array) {
    this.#config = config;
    this.#weights = weights;
    this.#layout = layoutOf(config);
  }

  /** `ids` [N S] to [N S, hidden]. */
  embed(): TensorName {
    const ids = this.graph.input('ids', 'int64', ['T']);
    return this.graph.op('Gather', [this.#parameter('model.embed_tokens.weight'), ids]);
  }

  /**
   * A layer's first half. Outputs: `newResidual` [N S, hidden], `newQuery` and `newKey` [N, S, their heads D], turned to
   * their `positions` [N, S], and `newValue` [N S, its heads D]. `cosine` and `sine` are the tables of rotary.ts.
   */
  project(x: TensorName, layer: number): void {
    const { graph } = this;
    const { family, heads, keyValueHeads, headSize, hidden } = this.#config;
    const { qkvBias, qkNorm } = FAMILIES[family];
    const [queries, keys] = [heads * headSize, keyValueHeads * headSize];
    const positions = graph.input('positions', 'int64', ['N', 'S']);
    const cosine = graph.input('cosine', 'float32', ['table', headSize / 2]);
    const sine = graph.input('sine', 'float32', ['table', headSize / 2]);

    const prefix = `model.layers.${layer}.self_attn`;
    const normalised = this.#norm(x, `model.layers.${layer}.input_layernorm.weight`);
    const weight = this.#stacked(`${prefix}.q_proj.weight`, `${prefix}.v_proj.weight`, [queries + 2 * keys, hidden]);
    const bias = qkvBias ? [this.#stacked(`${prefix}.q_proj.bias`, `${prefix}.v_proj.bias`, [queries + 2 * keys])] : [];
    const all = graph.op('Gemm', [normalised, weight, ...bias], { transB: 1 });
    const [projected, value] = graph.ops(2, 'Split', [all, graph.integers([queries + keys, keys])], { axis: 1 });

    const turning = qkNorm ? this.#normHeads(projected!, prefix) : projected!;
    const shape = graph.op('Concat', [graph.op('Shape', [positions]), graph.integers([queries + keys])], { axis: 0 });
    const turned = graph.microsoft('RotaryEmbedding', [graph.op('Reshape', [turning, shape]), positions, cosine, sine]);
    const [query, key] = graph.ops(2, 'Split', [turned, graph.integers([queries, keys])], { axis: 2 });
    graph.output('newQuery', 'float32', ['N', 'S', queries], query);
    graph.output('newKey', 'float32', ['N', 'S', keys], key);
    graph.output('newValue', 'float32', ['T', keys], value);
    graph.output('newResidual', 'float32', ['T', hidden], x);
  }

  /** RMSNorm of each head of q and k, which stand side by side: [N S, (heads + keyValueHeads) D]. */
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

  /**
   * A layer's second half, [N S, hidden], from `residual` and `query` of its first half and from the cache (`keys` and
   * `values` [N, keyValueHeads, P, D]), which by now holds the new tokens too. `mask` [N, 1, R S, P] is added to scores.
   */
  block(layer: number): TensorName {
    const { graph } = this;
    const { hidden, heads, headSize } = this.#config;
    const residual = graph.input('residual', 'float32', ['T', hidden]);
    const prefix = `model.layers.${layer}`;
    const output = this.#parameter(`${prefix}.self_attn.o_proj.weight`);
    const attended = graph.op('Reshape', [this.#attention(), graph.integers([-1, heads * headSize])]);
    const x = graph.op('Add', [residual, graph.op('Gemm', [attended, output], { transB: 1 })]);

    // y = x + (SiLU(h Wgateᵀ) ∘ h Wupᵀ) Wdownᵀ;  QuickGelu with alpha 1 is SiLU.
    const h = this.#norm(x, `${prefix}.post_attention_layernorm.weight`);
    const linear = (input: TensorName, name: string) =>
      graph.op('Gemm', [input, this.#parameter(`${prefix}.mlp.${name}.weight`)], { transB: 1 });
    const gate = graph.microsoft('QuickGelu', [linear(h, 'gate_proj')], { alpha: { float: 1 } });
    return graph.op('Add', [x, linear(graph.op('Mul', [gate, linear(h, 'up_proj')]), 'down_proj')]);
  }

  /**
   * softmax(q Kᵀ / √D + mask) V as [N, S, heads, D].
   *
   * The query heads of a key-value head are stacked as rows of one product. A product of a single row takes another
   * path in ONNX Runtime with another order of summation; so that one new token gets the same numbers as many, a group
   * of one head is doubled.
   */
  #attention(): TensorName {
    const { graph } = this;
    const { heads, keyValueHeads, headSize } = this.#config;
    const query = graph.input('query', 'float32', ['N', 'S', heads * headSize]);
    const keys = graph.input('keys', 'float32', ['N', keyValueHeads, 'P', headSize]);
    const values = graph.input('values', 'float32', ['N', keyValueHeads, 'P', headSize]);
    const mask = graph.input('mask', 'float32', ['N', 1, 'R S', 'P']);

    const perHead = graph.op('Transpose', [graph.op('Reshape', [query, graph.integers([0, 0, heads, headSize])])], {
      perm: [0, 2, 1, 3],
    });
    const single = heads === keyValueHeads;
    const stacked = single
      ? graph.op('Concat', [perHead, perHead], { axis: 2 })
      : graph.op('Reshape', [perHead, graph.integers([0, keyValueHeads, -1, headSize])]);
    const scale = { transB: 1, alpha: { float: 1 / Math.sqrt(headSize) } };
    const scores = graph.op('Add', [graph.microsoft('FusedMatMul', [stacked, keys], scale), mask]);
    const mixed = graph.op('MatMul', [graph.op('Softmax', [scores], { axis: -1 }), values]);
    const own = single ? graph.ops(2, 'Split', [mixed], { axis: 2, num_outputs: 2 })[0]! : mixed;
    return graph.op('Transpose', [graph.op('Reshape', [own, graph.integers([0, heads, -1, headSize])])], {
      perm: [0, 2, 1, 3],
    });
  }

  /**
   * Draws one token a row by the inverse of the cumulative distribution: the first v with Σ_{w ≤ v} p_w > u Σ_w p_w.
   * Inputs, all [N, 1]: `temperature`; `uniform` u, below 1; `greedy`, where the largest logit is taken instead.
   * Outputs, both [N, 1]: `id`, and `probability`, that of the id under softmax(logits / temperature). Its logarithm is
   * left to the caller: ONNX Runtime's differs in the last bit between the ends and the middle of a vector.
   */
  draw(x: TensorName): void {
    const { graph } = this;
    const { tiedHead, vocabulary } = this.#config;
    const temperature = graph.input('temperature', 'float32', ['N', 1]);
    const uniform = graph.input('uniform', 'float32', ['N', 1]);
    const greedy = graph.input('greedy', 'bool', ['N', 1]);

    const head = this.#parameter(tiedHead ? 'model.embed_tokens.weight' : 'lm_head.weight');
    const logits = graph.op('Gemm', [this.#norm(x, 'model.norm.weight'), head], { transB: 1 });
    const p = graph.op('Softmax', [graph.op('Div', [logits, temperature])], { axis: 1 });
    const cumulative = graph.op('CumSum', [p, graph.integer(1)]);
    const total = graph.op('Gather', [cumulative, graph.integers([vocabulary - 1])], { axis: 1 });
    // ArgMax gives the first of equal entries: the first 1.
    const above = graph.op('Cast', [graph.op('Greater', [cumulative, graph.op('Mul', [total, uniform])])], { to: 1 });
    const drawn = graph.op('ArgMax', [above], { axis: 1 });
    const largest = graph.op('ArgMax', [logits], { axis: 1 });
    const id = graph.op('Where', [greedy, largest, drawn]);
    graph.output('id', 'int64', ['N', 1], id);
    graph.output('probability', 'float32', ['N', 1], graph.op('GatherElements', [p, id], { axis: 1 }));
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
