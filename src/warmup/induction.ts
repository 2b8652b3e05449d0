/**
 * The copying head: a structured start for small policies, written into ordinary Qwen2 weights.
 *
 * A policy that reads must copy names out of passages. Large models learn that ("induction heads", Olsson et al. 2022)
 * early in pretraining; within this warm-up's few million tokens a small model with random weights did not learn it at
 * all. So the circuit is given, in the first KV group of the first two layers, and everything else is learned:
 *
 *   layer 0  attends to the previous token and writes P·x(t−1) into a free part of the residual stream;
 *   layer 1  compares P·x(t) with that free part: attends to the token after an earlier occurrence of the present token,
 *            and writes Pᵀ P·x of it back, which raises the logit of that token.
 *
 * Dimensions: hidden d, head size h, KV groups of g query heads; "content" are the first d − h dimensions of the residual
 * stream, "free" the last h; P is a random h × (d−h) matrix with orthonormal rows; x̂ is x after RMSNorm.
 * RoPE is half-split: pair i is (i, i + h/2) and turns by φ_i = θ^(−2i/h) per position.
 *
 * Gradients flow through all of it: nothing is frozen or treated specially afterwards.
 */
import { Random, type StreamKey, streamKey } from '../base/random.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import type { Tensor } from '../checkpoint/safetensors.ts';
import { embeddingDeviation, type Weights } from './initialize.ts';

/** Embedding entries in the free dimensions are scaled by this, which leaves them free. */
const freeScale = 0.05;
/** All other writes into the residual stream start this small, so that they do not drown the circuit. */
const otherWrites = 0.1;
/** Scale of the random part of the queries and keys that the circuit uses. */
const otherScores = 0.1;
/** Score (before softmax) by which the previous token beats its neighbours. */
const previousTokenMargin = 3;
/** Score of a matching token in layer 1; mismatches have mean 0 and deviation matchScore / √(pairs compared). */
const matchScore = 12;
/** Size of the free part after layer 0, in units of the embedding's deviation. */
const freeSize = 3.5;
/** Size of the copied token that layer 1 writes, in the same unit. */
const copySize = 1.7;
/** Pairs that turn by at least this (radians per token) tell positions apart; the others are for comparing contents. */
const fastTurn = 0.07;
/** Contents are compared on pairs that turn by at most this: about one radian over two hundred tokens. */
const slowTurn = 0.0057;

/** Writes the circuit into freshly initialised weights, in place. Needs two layers, an even head size and rope theta ≥ 10⁵. */
export function installCopyingHead(weights: Weights, config: ModelConfig, key: StreamKey): void {
  const { hidden, headSize, layers } = config;
  const group = config.heads / config.keyValueHeads;
  const content = hidden - headSize;
  const half = headSize / 2;
  const turns = Array.from({ length: half }, (_, i) => config.ropeTheta ** ((-2 * i) / headSize));
  const fast = turns.flatMap((turn, i) => (turn >= fastTurn ? [i] : []));
  const slow = turns.flatMap((turn, i) => (turn <= slowTurn ? [i] : []));
  if (layers < 2 || content < headSize || headSize % 2 !== 0 || fast.length === 0 || slow.length === 0)
    throw new RangeError(
      `a copying head needs 2 layers, 2 heads, an even head size and slow rotary pairs (rope theta 1e6); found ${JSON.stringify(config)}`,
    );
  const tensor = (name: string): Tensor => {
    const found = weights.get(name);
    if (!found) throw new RangeError(`weights have no tensor ${name}`);
    return found;
  };
  const of = (layer: number, part: string) => tensor(`model.layers.${layer}.${part}`);

  // The free subspace: embedding ≈ 0 in the last h dimensions. An untied head starts equal to the embedding, so that a
  // copied embedding raises its own token's logit.
  const embedding = tensor('model.embed_tokens.weight').data;
  for (let i = 0; i < embedding.length; i++) if (i % hidden >= content) embedding[i]! *= freeScale;
  if (!config.tiedHead) tensor('lm_head.weight').data.set(embedding);
  for (let layer = 0; layer < layers; layer++) {
    scale(of(layer, 'self_attn.o_proj.weight').data, otherWrites);
    scale(of(layer, 'mlp.down_proj.weight').data, otherWrites);
  }
  const random = new Random(streamKey(key[0], key[1], 'copying-head'));
  const P = orthonormalRows(headSize, content, random);

  // Layer 0. Constant key b on the fast pairs, query R(−1)·b: score(m, n) = a²/√h Σ_i cos((m − 1 − n) φ_i), largest at
  // n = m − 1. The amplitude a sets its lead over n = m and n = m − 2: a² Σ_i (1 − cos φ_i) / √h = previousTokenMargin.
  const lead = fast.reduce((sum, i) => sum + 1 - Math.cos(turns[i]!), 0);
  const amplitude = Math.sqrt((previousTokenMargin * Math.sqrt(headSize)) / lead);
  const keyBias = of(0, 'self_attn.k_proj.bias').data;
  const queryBias = of(0, 'self_attn.q_proj.bias').data;
  for (const i of fast) {
    keyBias[i] = amplitude;
    for (let head = 0; head < group; head++) {
      queryBias[head * headSize + i] = amplitude * Math.cos(turns[i]!);
      queryBias[head * headSize + half + i] = -amplitude * Math.sin(turns[i]!);
    }
  }
  scaleRows(of(0, 'self_attn.k_proj.weight'), 0, headSize, otherScores);
  scaleRows(of(0, 'self_attn.q_proj.weight'), 0, group * headSize, otherScores);
  // Value P·x̂; the norm makes its entries √(d/(d−h)) large, and g heads write it with weight w each:
  // free part = g w √(d/(d−h)) = freeSize · deviation.
  writeProjection(of(0, 'self_attn.v_proj.weight'), P);
  const write = (freeSize * embeddingDeviation) / (group * Math.sqrt(hidden / content));
  const output0 = of(0, 'self_attn.o_proj.weight');
  for (let head = 0; head < group; head++)
    setBlock(output0, head * headSize, (row, i) => (row - content === i ? write : 0));

  // Layer 1. With freeSize = β the norm brings content to c = 1/√(((d−h) + h β²)/d) and the free part to β c.
  // Key s·M·x̂_free, query s·M·P·x̂_content on the p slow dimensions (M: p orthonormal rows), so a match scores
  // s² p β c² / √h = matchScore.
  const compared = [...slow, ...slow.map((i) => i + half)];
  const M = orthonormalRows(compared.length, headSize, random);
  const contentSize = 1 / Math.sqrt((content + headSize * freeSize ** 2) / hidden);
  const s = Math.sqrt((matchScore * Math.sqrt(headSize)) / (compared.length * freeSize * contentSize ** 2));
  const keys = of(1, 'self_attn.k_proj.weight');
  const queries = of(1, 'self_attn.q_proj.weight');
  scaleRows(keys, 0, headSize, otherScores);
  scaleRows(queries, 0, group * headSize, otherScores);
  compared.forEach((dimension, row) => {
    setRow(keys, dimension, (column) => (column < content ? 0 : s * M[row]![column - content]!));
    const projected = (column: number) => M[row]!.reduce((sum, m, i) => sum + m * P[i]![column]!, 0);
    for (let head = 0; head < group; head++)
      setRow(queries, head * headSize + dimension, (column) => (column < content ? s * projected(column) : 0));
  });
  // Value P·x̂, written back by Pᵀ: g heads of weight γ add g γ c = copySize · deviation along the token's embedding.
  writeProjection(of(1, 'self_attn.v_proj.weight'), P);
  const gamma = (copySize * embeddingDeviation) / (group * contentSize);
  const output1 = of(1, 'self_attn.o_proj.weight');
  for (let head = 0; head < group; head++)
    setBlock(output1, head * headSize, (row, i) => (row < content ? gamma * P[i]![row]! : 0));

  /** Rows 0..h−1 of a value projection become [P, 0]. */
  function writeProjection(values: Tensor, projection: readonly Float64Array[]): void {
    projection.forEach((p, row) => {
      setRow(values, row, (column) => (column < content ? p[column]! : 0));
    });
  }
  /** All rows of the h columns of one head in an output projection. */
  function setBlock(output: Tensor, firstColumn: number, value: (row: number, i: number) => number): void {
    const width = output.shape[1]!;
    for (let row = 0; row < hidden; row++)
      for (let i = 0; i < headSize; i++) output.data[row * width + firstColumn + i] = value(row, i);
  }
}

/** n random orthonormal rows of length m ≥ n (Gram-Schmidt on normal vectors). */
function orthonormalRows(n: number, m: number, random: Random): Float64Array[] {
  const rows: Float64Array[] = [];
  while (rows.length < n) {
    const row = Float64Array.from({ length: m }, () => random.normal());
    for (const other of rows) {
      const overlap = other.reduce((sum, value, i) => sum + value * row[i]!, 0);
      for (let i = 0; i < m; i++) row[i]! -= overlap * other[i]!;
    }
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    rows.push(row.map((value) => value / norm));
  }
  return rows;
}

function scale(data: Float32Array, factor: number): void {
  for (let i = 0; i < data.length; i++) data[i]! *= factor;
}

function scaleRows(matrix: Tensor, first: number, count: number, factor: number): void {
  const width = matrix.shape[1]!;
  scale(matrix.data.subarray(first * width, (first + count) * width), factor);
}

function setRow(matrix: Tensor, row: number, value: (column: number) => number): void {
  const width = matrix.shape[1]!;
  for (let column = 0; column < width; column++) matrix.data[row * width + column] = value(column);
}
