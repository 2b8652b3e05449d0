/**
 * The model, from token ids to logits of selected rows, on a tape: RMSNorm, grouped-query attention with half-split rotary
 * positions, SwiGLU, tied or untied head; biases and norms of q, k and v as the family has them (checkpoint/families.ts).
 * Tokens lie in levels (prefix-tree.ts), whose sizes are free at run time, as are the numbers of slots U and rows R that are read.
 *
 * Segments are padded on the right; causal attention never looks there, and a padded segment has no children, so padding
 * changes no other row.
 */
import { FAMILIES } from '../../../checkpoint/families.ts';
import type { ElementType, Graph, SymbolicShape, TensorName } from '../../../onnx/graph.ts';
import type { RotaryTable, Tape } from './autodiff.ts';
import { adapterLayoutOf, adapterNames, type LinearLayer, layoutOf, type ModelConfig } from './parameters.ts';
import { LEVELS } from './prefix-tree.ts';
import { levelAttention, levelShapes } from './prefix-tree-attention.ts';
import { rotaryAngles } from './rotary.ts';

/** What gets gradients; an adapter's scale is alpha / rank. */
export type Trained = 'weights' | 'nothing' | { readonly adapterScale: number };

const EMBEDDING = 'model.embed_tokens.weight';

export interface Transformer {
  /** [R, vocabulary]: row r follows the token at slots[reads[r]]. */
  readonly logits: TensorName;
  /** [T, hidden]: the looked-up embeddings. Their gradient is scattered by the caller. */
  readonly embedded: TensorName;
}

/**
 * Declares the inputs `ids` [T], `slots` [U] (each at most once), `reads` [R] (into `slots`), those of `layerCommon` and all
 * parameters under their names, and adds the forward pass. When an adapter is trained its matrices are inputs too, and the weights
 * are to be fed with the adapter already added.
 */
export function transformer(tape: Tape, config: ModelConfig, trained: Trained): Transformer {
  const { graph } = tape;
  const ids = graph.input('ids', 'int64', ['T']);
  const slots = graph.input('slots', 'int64', ['U']);
  const reads = graph.input('reads', 'int64', ['R']);
  declareParameters(tape, config, trained, () => true);

  const embedded = graph.op('Gather', [EMBEDDING, ids]);
  if (trained === 'weights') tape.track(embedded);
  const common = layerCommon(tape, config);
  let x = embedded;
  for (let layer = 0; layer < config.layers; layer++)
    // Nothing after the last attention mixes tokens: from there on only those that are read are needed.
    x = decoderLayer(tape, config, trained, common, x, layer, layer === config.layers - 1 ? slots : undefined);
  return { logits: languageHead(tape, config, tape.selectRows(x, reads)), embedded };
}

/** Declares the parameters whose name is `wanted` as inputs of the type given, and says which get a gradient. */
export function declareParameters(
  tape: Tape,
  config: ModelConfig,
  trained: Trained,
  wanted: (name: string) => boolean,
  typeOf: (name: string) => ElementType = () => 'float32',
): void {
  for (const { name, shape } of layoutOf(config).entries) {
    if (!wanted(name)) continue;
    tape.graph.input(name, typeOf(name), shape);
    if (trained === 'weights') tape.track(name);
  }
  if (typeof trained === 'string') return;
  for (const { name, shape } of adapterShapes(config)) {
    if (!wanted(name)) continue;
    tape.graph.input(name, 'float32', shape);
    tape.track(name);
  }
}

/** What all layers of a graph share. */
export interface LayerCommon {
  readonly table: RotaryTable;
  /** int64 [T, 1] */
  readonly positions: TensorName;
  /** q [T, K, G D], k and v [T, K, D], with K key-value heads of G query heads; gives [T, K, G D]. */
  readonly attend: (q: TensorName, k: TensorName, v: TensorName) => TensorName;
  /** Names what linear layers give, where it is kept for the way back (`Tape.linear`). */
  readonly keptName?: (layer: LinearLayer) => TensorName | undefined;
}

/** Declares the inputs `positions` [T, 1] and those of `levelShapes`. */
export function layerCommon(tape: Tape, config: ModelConfig): LayerCommon {
  const { graph } = tape;
  const positions = graph.input('positions', 'int64', ['T', 1]);
  const table = rotaryTable(graph, config);
  const shapes = levelShapes(graph, config);
  return { table, positions, attend: (q, k, v) => levelAttention(tape, config, shapes, q, k, v) };
}

/** One layer: x [T, hidden] to the same, or to [U, hidden] when only some rows are wanted. */
export function decoderLayer(
  tape: Tape,
  config: ModelConfig,
  trained: Trained,
  common: LayerCommon,
  x: TensorName,
  layer: number,
  rows?: TensorName,
): TensorName {
  const { heads, keyValueHeads, headSize, rmsEpsilon } = config;
  const { qkvBias, qkNorm } = FAMILIES[config.family];
  const prefix = `model.layers.${layer}`;
  const linear = (input: TensorName, name: LinearLayer, residual?: TensorName) =>
    tape.linear(input, `${prefix}.${name}.weight`, {
      ...(qkvBias && /[qkv]_proj$/.test(name) && { bias: `${prefix}.${name}.bias` }),
      ...(residual && { residual }),
      ...(typeof trained === 'object' && { adapter: { ...adapterNames(layer, name), scale: trained.adapterScale } }),
      kept: common.keptName?.(name),
    });
  const h = tape.rmsNorm(x, `${prefix}.input_layernorm.weight`, rmsEpsilon);
  const byHead = (columns: number) => [-1, keyValueHeads, columns / keyValueHeads];
  /** q or k [T, columns], each head normalised where the family does so. */
  const normalised = (x: TensorName, name: 'q' | 'k', columns: number) => {
    if (!qkNorm) return x;
    const alone = tape.reshape(x, [-1, headSize], [-1, columns]);
    const y = tape.rmsNorm(alone, `${prefix}.self_attn.${name}_norm.weight`, rmsEpsilon);
    return tape.reshape(y, [-1, columns], [-1, headSize]);
  };
  /** q or k, turned to its positions. */
  const turned = (name: 'q' | 'k', columns: number) => {
    const x = normalised(linear(h, `self_attn.${name}_proj`), name, columns);
    const y = tape.rotary(tape.reshape(x, [-1, 1, columns], [-1, columns]), common.positions, common.table);
    return tape.reshape(y, byHead(columns), [-1, 1, columns]);
  };
  const [queryColumns, columns] = [heads * headSize, keyValueHeads * headSize];
  const [q, k] = [turned('q', queryColumns), turned('k', columns)];
  const v = tape.reshape(linear(h, 'self_attn.v_proj'), byHead(columns), [-1, columns]);
  const o = common.attend(q, k, v);
  let attended = tape.reshape(o, [-1, queryColumns], byHead(queryColumns));
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

/** The parameters that activations are multiplied with: those of linear layers and the head. */
export function isMultiplied(config: ModelConfig, name: string): boolean {
  return name === headName(config) || name.endsWith('_proj.weight');
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

/** Of all positions of the context. */
export function rotaryTable(graph: Graph, config: ModelConfig): RotaryTable {
  const positions = Math.max(config.contextLength, LEVELS);
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
