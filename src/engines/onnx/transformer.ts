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

const EMBEDDING = 'model.embed_tokens.weight';

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
  declareParameters(tape, config, trained, () => true);

  const embedded = graph.op('Gather', [EMBEDDING, graph.op('Reshape', [ids, graph.integers([-1])])]);
  if (trained === 'weights') tape.track(embedded);
  const common = layerCommon(graph, config, graph.op('Shape', [ids], { start: 1 }));
  let x = embedded;
  for (let layer = 0; layer < config.layers; layer++)
    // Nothing after the last attention mixes positions: from there on only the selected rows are needed.
    x = decoderLayer(tape, config, trained, common, x, layer, layer === config.layers - 1 ? rows : undefined);
  return { logits: languageHead(tape, config, x), embedded };
}

/** Declares the parameters whose name is `wanted` as inputs, and says which get a gradient. */
export function declareParameters(
  tape: Tape,
  config: ModelConfig,
  trained: Trained,
  wanted: (name: string) => boolean,
): void {
  for (const { name, shape } of layoutOf(config).entries) {
    if (!wanted(name)) continue;
    tape.graph.input(name, 'float32', shape);
    if (trained === 'weights') tape.track(name);
  }
  if (typeof trained === 'string') return;
  for (const { name, shape } of adapterShapes(config)) {
    if (!wanted(name)) continue;
    tape.graph.input(name, 'float32', shape);
    tape.track(name);
  }
}

/** What all layers of a graph share: positions, masks, and shapes that depend on the length. */
export interface LayerCommon {
  readonly table: RotaryTable;
  readonly blocks: CausalBlocks;
  readonly length: TensorName;
}

/** `length`: int64 [1], S. */
export function layerCommon(graph: Graph, config: ModelConfig, length: TensorName): LayerCommon {
  const blocks = causalBlocks(graph, length, config.heads / config.keyValueHeads);
  return { table: rotaryTable(graph, config), blocks, length };
}

/** One layer: x [N S, hidden] to the same, or to [R, hidden] when only some rows are wanted. */
export function decoderLayer(
  tape: Tape,
  config: ModelConfig,
  trained: Trained,
  { table, blocks, length }: LayerCommon,
  x: TensorName,
  layer: number,
  rows?: TensorName,
): TensorName {
  const { graph } = tape;
  const { heads, keyValueHeads, headSize, rmsEpsilon } = config;
  const { qkvBias, qkNorm } = FAMILIES[config.family];
  const prefix = `model.layers.${layer}`;
  const linear = (input: TensorName, name: LinearLayer, residual?: TensorName) =>
    tape.linear(input, `${prefix}.${name}.weight`, {
      ...(qkvBias && /[qkv]_proj$/.test(name) && { bias: `${prefix}.${name}.bias` }),
      ...(residual && { residual }),
      ...(typeof trained === 'object' && { adapter: { ...adapterNames(layer, name), scale: trained.adapterScale } }),
    });
  /** The int64 vector [...before, S, ...after]. */
  const around = (before: readonly number[], after: readonly number[]) =>
    graph.op('Concat', [graph.integers(before), length, graph.integers(after)], { axis: 0 });
  /** [N S, keyValueHeads width] to [N, keyValueHeads, rows, headSize]: the heads of a group are rows of a position. */
  const byKeyValueHead = (input: TensorName, width: number) => {
    const split = tape.reshape(input, around([-1], [keyValueHeads, width]));
    return tape.reshape(tape.transpose(split, [0, 2, 1, 3]), [0, keyValueHeads, -1, headSize]);
  };

  const h = tape.rmsNorm(x, `${prefix}.input_layernorm.weight`, rmsEpsilon);
  /** q or k: projected, each head normalised where the family does so, turned. */
  const turned = (name: 'q' | 'k', count: number) => {
    const projected = linear(h, `self_attn.${name}_proj`);
    const normalised = qkNorm
      ? tape.rmsNorm(tape.reshape(projected, [-1, headSize]), `${prefix}.self_attn.${name}_norm.weight`, rmsEpsilon)
      : projected;
    return tape.rotary(tape.reshape(normalised, around([-1], [count * headSize])), table);
  };
  const group = heads / keyValueHeads;
  const q = byKeyValueHead(turned('q', heads), group * headSize);
  const k = byKeyValueHead(turned('k', keyValueHeads), headSize);
  const v = byKeyValueHead(linear(h, 'self_attn.v_proj'), headSize);
  const o = tape.reshape(tape.attention(q, k, v, blocks, headSize), around([-1, keyValueHeads], [group * headSize]));
  let attended = tape.reshape(tape.transpose(o, [0, 2, 1, 3]), [-1, heads * headSize]);
  let residual = x;
  if (rows !== undefined) {
    attended = tape.selectRows(attended, rows);
    residual = tape.selectRows(residual, rows);
  }
  const y = linear(attended, 'self_attn.o_proj', residual);
  const m = tape.rmsNorm(y, `${prefix}.post_attention_layernorm.weight`, rmsEpsilon);
  const gated = tape.swiGlu(linear(m, 'mlp.gate_proj'), linear(m, 'mlp.up_proj'));
  return linear(gated, 'mlp.down_proj', y);
}

/** The parameters that `languageHead` reads. */
export function isHeadParameter(config: ModelConfig, name: string): boolean {
  return name === 'model.norm.weight' || name === headName(config);
}

/** x [R, hidden] to logits [R, vocabulary]. */
export function languageHead(tape: Tape, config: ModelConfig, x: TensorName): TensorName {
  return tape.linear(tape.rmsNorm(x, 'model.norm.weight', config.rmsEpsilon), headName(config));
}

function headName({ tiedHead }: ModelConfig): string {
  return tiedHead ? EMBEDDING : 'lm_head.weight';
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
