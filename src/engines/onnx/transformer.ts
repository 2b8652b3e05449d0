/**
 * The model, from token ids to logits of selected rows, on a tape: RMSNorm, grouped-query attention with half-split rotary
 * positions, SwiGLU, tied or untied head; biases and norms of q, k and v as the family has them (checkpoint/families.ts).
 * Batch size N, length S and number of rows R are free at run time.
 *
 * Sequences are padded on the right; causal attention never looks there, so padding changes no other row.
 */
import { FAMILIES } from '../../checkpoint/families.ts';
import type { CausalBlocks, RotaryTable, Tape } from './autodiff.ts';
import type { Graph, SymbolicShape, TensorName } from './graph.ts';
import { adapterLayoutOf, adapterNames, type LinearLayer, layoutOf, type ModelConfig } from './parameters.ts';
import { rotaryAngles } from './rotary.ts';

/** What gets gradients; an adapter's scale is alpha / rank. */
export type Trained = 'weights' | 'nothing' | { readonly adapterScale: number };

export interface Transformer {
  /** [R, vocabulary]: row r follows the token at flat position rows[r]. */
  readonly logits: TensorName;
  /** [N S, hidden]: the looked-up embeddings. Their gradient is scattered by the caller. */
  readonly embedded: TensorName;
}

/**
 * Declares the inputs `ids` [N, S], `rows` [R] (flat positions in N S, each at most once) and all parameters under
 * their names, and adds the forward pass. When an adapter is trained its matrices are inputs too, and the weights
 * are to be fed with the adapter already added.
 */
export function transformer(tape: Tape, config: ModelConfig, trained: Trained): Transformer {
  const { graph } = tape;
  const ids = graph.input('ids', 'int64', ['N', 'S']);
  const rows = graph.input('rows', 'int64', ['R']);
  for (const { name, shape } of layoutOf(config).entries) {
    graph.input(name, 'float32', shape);
    if (trained === 'weights') tape.track(name);
  }
  const adapterScale = typeof trained === 'object' ? trained.adapterScale : undefined;
  if (adapterScale !== undefined) {
    for (const { name, shape } of adapterShapes(config)) {
      graph.input(name, 'float32', shape);
      tape.track(name);
    }
  }

  const { qkvBias, qkNorm } = FAMILIES[config.family];
  const linear = (x: TensorName, layer: number, name: LinearLayer, residual?: TensorName) => {
    const prefix = `model.layers.${layer}.${name}`;
    return tape.linear(x, `${prefix}.weight`, {
      ...(qkvBias && /[qkv]_proj$/.test(name) && { bias: `${prefix}.bias` }),
      ...(residual && { residual }),
      ...(adapterScale !== undefined && { adapter: { ...adapterNames(layer, name), scale: adapterScale } }),
    });
  };

  const { heads, keyValueHeads, headSize } = config;
  const table = rotaryTable(graph, config);
  const length = graph.op('Shape', [ids], { start: 1 });
  const blocks = causalBlocks(graph, length, heads / keyValueHeads);
  /** [N, S, ...sizes] */
  const positionsBy = (...sizes: number[]) =>
    graph.op('Concat', [graph.integers([-1]), length, graph.integers(sizes)], { axis: 0 });
  const queryWidth = positionsBy(heads * headSize);
  const keyWidth = positionsBy(keyValueHeads * headSize);
  const grouped = positionsBy(keyValueHeads, (heads / keyValueHeads) * headSize);
  const single = positionsBy(keyValueHeads, headSize);
  const perKeyValueHead = graph.op(
    'Concat',
    [graph.integers([-1, keyValueHeads]), length, graph.integers([(heads / keyValueHeads) * headSize])],
    { axis: 0 },
  );
  /** [N, S, keyValueHeads, width] to [N, keyValueHeads, rows, headSize]: the heads of a group are rows of a position. */
  const byKeyValueHead = (x: TensorName, shape: TensorName) =>
    tape.reshape(tape.transpose(tape.reshape(x, shape), [0, 2, 1, 3]), [0, keyValueHeads, -1, headSize]);

  const embedding = 'model.embed_tokens.weight';
  const embedded = graph.op('Gather', [embedding, graph.op('Reshape', [ids, graph.integers([-1])])]);
  if (trained === 'weights') tape.track(embedded);

  let x = embedded;
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const h = tape.rmsNorm(x, `${prefix}.input_layernorm.weight`, config.rmsEpsilon);
    /** q or k: projected, each head normalised where the family does so, turned. */
    const turned = (name: 'q' | 'k', width: TensorName) => {
      const projected = linear(h, layer, `self_attn.${name}_proj`);
      const normalised = qkNorm
        ? tape.rmsNorm(
            tape.reshape(projected, [-1, headSize]),
            `${prefix}.self_attn.${name}_norm.weight`,
            config.rmsEpsilon,
          )
        : projected;
      return tape.rotary(tape.reshape(normalised, width), table);
    };
    const q = byKeyValueHead(turned('q', queryWidth), grouped);
    const k = byKeyValueHead(turned('k', keyWidth), single);
    const v = byKeyValueHead(linear(h, layer, 'self_attn.v_proj'), single);
    const o = tape.attention(q, k, v, blocks, headSize);
    const rejoined = tape.reshape(o, perKeyValueHead);
    let attended = tape.reshape(tape.transpose(rejoined, [0, 2, 1, 3]), [-1, heads * headSize]);
    if (layer === config.layers - 1) {
      // Nothing after the last attention mixes positions: from here on only the selected rows are needed.
      attended = tape.selectRows(attended, rows);
      x = tape.selectRows(x, rows);
    }
    x = linear(attended, layer, 'self_attn.o_proj', x);
    const m = tape.rmsNorm(x, `${prefix}.post_attention_layernorm.weight`, config.rmsEpsilon);
    const gated = tape.swiGlu(linear(m, layer, 'mlp.gate_proj'), linear(m, layer, 'mlp.up_proj'));
    x = linear(gated, layer, 'mlp.down_proj', x);
  }
  const last = tape.rmsNorm(x, 'model.norm.weight', config.rmsEpsilon);
  const logits = tape.linear(last, config.tiedHead ? embedding : 'lm_head.weight');
  return { logits, embedded };
}

/** The adapter's matrices with a rank that is free at run time: A [rank, in], B [out, rank]. */
export function adapterShapes(config: ModelConfig): { readonly name: string; readonly shape: SymbolicShape }[] {
  return adapterLayoutOf(config, 1).entries.map(({ name, shape: [rows, columns] }) => ({
    name,
    shape: name.endsWith('lora_A.weight') ? ['rank', columns!] : [rows!, 'rank'],
  }));
}

function rotaryTable(graph: Graph, config: ModelConfig): RotaryTable {
  const positions = Math.max(config.contextLength, BLOCKS);
  const { cosine, sine } = rotaryAngles(config, positions);
  const table = (name: string, values: Float32Array) =>
    graph.initializer(name, 'float32', [positions, config.headSize / 2], values);
  const negative = sine.map((value) => -value);
  return {
    cosine: table('cosine', cosine),
    sine: table('sine', sine),
    negativeSine: table('negative sine', negative),
  };
}

/** Blocks of attention; sequences are padded to at least this many positions, so that none is empty. */
export const BLOCKS = 4;

/** Block b ends before position ⌊S (b + 1) / BLOCKS⌋. */
function causalBlocks(graph: Graph, length: TensorName, group: number): CausalBlocks {
  const square = graph.op('Concat', [length, length], { axis: 0 });
  const infinities = graph.op('Expand', [graph.float(Number.NEGATIVE_INFINITY), square]);
  const mask = graph.op('Trilu', [infinities, graph.integer(1)], { upper: 1 });
  const zero = graph.integers([0]);
  const ends: TensorName[] = [];
  const rows: TensorName[] = [];
  const masks: TensorName[] = [];
  const padding: TensorName[] = [];
  let start = zero;
  for (let block = 1; block <= BLOCKS; block++) {
    const end = graph.op('Div', [graph.op('Mul', [length, graph.integers([block])]), graph.integers([BLOCKS])]);
    const positions = graph.op('Sub', [end, start]);
    const part = graph.op('Slice', [
      mask,
      graph.op('Concat', [start, zero], { axis: 0 }),
      graph.op('Concat', [end, end], { axis: 0 }),
    ]);
    // Each position's row once for each of its heads.
    const copies = graph.op('Concat', [positions, graph.integers([group]), end], { axis: 0 });
    const repeated = graph.op('Expand', [graph.op('Unsqueeze', [part, graph.integers([1])]), copies]);
    masks.push(graph.op('Reshape', [repeated, graph.op('Concat', [graph.integers([-1]), end], { axis: 0 })]));
    rows.push(graph.op('Mul', [positions, graph.integers([group])]));
    const rest = graph.op('Sub', [length, end]);
    padding.push(graph.op('Concat', [graph.integers([0, 0, 0, 0, 0, 0]), rest, zero], { axis: 0 }));
    ends.push(end);
    start = end;
  }
  return { rows: graph.op('Concat', rows, { axis: 0 }), ends, masks, padding };
}
