/**
 * Products in 8-bit integers, for decoding: every row of the activations and every column of the product has one scale.
 *
 *     x_t · w_o ≈ s_t s_o Σ_k (a_tk − 128) (c_ko − 128),   codes a and c from 0 to 255
 *
 * One activation that stands out would leave a row's others few codes. So rows and weights are first turned by the same
 * orthogonal matrix, H in blocks, which leaves their product as it is and spreads what stands out over its block.
 *
 * Sums of integers are exact in any order and a row's scale is its own: a row's result depends on no other row. Both sides
 * are unsigned since products of unsigned with signed codes saturate on processors without instructions of their own for them (AVX2
 * without VNNI).
 */
import type { Graph, TensorName } from '../../../onnx/graph.ts';

/** The code of zero, and the highest distance from it that is used. */
const [ZERO, HIGHEST] = [128, 127];
/** Widest block of H. */
const WIDEST = 64;
/** Rows of weights that are written side by side as columns. */
const TILE = 64;

/** A product's second operand, as ONNX Runtime takes it. */
export interface IntegerMatrix {
  /** [width, out] */
  readonly codes: Uint8Array;
  /** [out] */
  readonly scales: Float32Array;
}

/** Turns and quantises weights [out, width], each of their rows by its largest magnitude. */
export function quantiseColumns(weights: Float32Array, width: number): IntegerMatrix {
  const out = weights.length / width;
  const codes = new Uint8Array(weights.length);
  const scales = new Float32Array(out);
  const tile = new Float32Array(TILE * width);
  for (let from = 0; from < out; from += TILE) {
    const count = Math.min(TILE, out - from);
    tile.set(weights.subarray(from * width, (from + count) * width));
    turn(tile, blockOf(width));
    const inverses = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      let magnitude = 0;
      for (let k = i * width; k < (i + 1) * width; k++) magnitude = Math.max(magnitude, Math.abs(tile[k]!));
      scales[from + i] = magnitude / HIGHEST;
      // A row of zeros keeps scale 0 and the code of zero.
      inverses[i] = magnitude === 0 ? 0 : HIGHEST / magnitude;
    }
    for (let k = 0; k < width; k++)
      for (let i = 0; i < count; i++)
        codes[k * out + from + i] = Math.round(tile[i * width + k]! * inverses[i]!) + ZERO;
  }
  return { codes, scales };
}

/** Rows of activations in integers. */
export interface IntegerRows {
  /** uint8 [rows, width] */
  readonly codes: TensorName;
  /** [rows, 1] */
  readonly scales: TensorName;
}

/** Adds the nodes that turn and quantise x [rows, width], each row by its largest magnitude. */
export function quantiseRows(graph: Graph, x: TensorName, width: number): IntegerRows {
  const turned = addTurn(graph, x, width);
  const largest = graph.op('ReduceMax', [graph.op('Abs', [turned]), graph.integers([1])], { keepdims: 0 });
  // A row of zeros has some scale, so that nothing is divided by 0.
  const scales = graph.op('Max', [graph.op('Div', [largest, graph.float(HIGHEST)]), graph.float(1e-30)]);
  const zero = graph.initializer(`${x} zero`, 'uint8', [1], Uint8Array.of(ZERO));
  const zeros = graph.op('Expand', [zero, graph.op('Shape', [scales])]);
  const codes = graph.op('QuantizeLinear', [turned, scales, zeros], { axis: 0 });
  return { codes, scales: graph.op('Unsqueeze', [scales, graph.integers([1])]) };
}

/** Adds the product of rows and a matrix, float32 [rows, out]; the matrix is stored under `name`. */
export function integerProduct(
  graph: Graph,
  rows: IntegerRows,
  name: string,
  { codes, scales }: IntegerMatrix,
): TensorName {
  const out = scales.length;
  const matrix = graph.initializer(name, 'uint8', [codes.length / out, out], codes);
  const columnScales = graph.initializer(`${name} scales`, 'float32', [out], scales);
  const zero = graph.initializer(`${name} zero`, 'uint8', [], Uint8Array.of(ZERO));
  const operands = [rows.codes, matrix, graph.float(1), columnScales, zero, zero];
  return graph.op('Mul', [graph.microsoft('MatMulIntegerToFloat', operands), rows.scales]);
}

/** The largest power of two that divides the width, up to the widest block. */
function blockOf(width: number): number {
  return Math.min(WIDEST, width & -width);
}

/** x H in the graph. */
function addTurn(graph: Graph, x: TensorName, width: number): TensorName {
  const block = blockOf(width);
  if (block === 1) return x;
  const unit = new Float32Array(block * block);
  for (let i = 0; i < block; i++) unit[i * block + i] = 1;
  turn(unit, block);
  const matrix = graph.initializer(`${x} turn`, 'float32', [block, block], unit);
  const blocks = graph.op('Gemm', [graph.op('Reshape', [x, graph.integers([-1, block])]), matrix]);
  return graph.op('Reshape', [blocks, graph.integers([-1, width])]);
}

/** Every block of neighbours times the normalised Hadamard matrix of that size, in place. */
function turn(values: Float32Array, block: number): void {
  const scale = 1 / Math.sqrt(block);
  for (let start = 0; start < values.length; start += block) {
    for (let half = 1; half < block; half *= 2)
      for (let i = start; i < start + block; i += 2 * half)
        for (let k = i; k < i + half; k++) {
          const [one, other] = [values[k]!, values[k + half]!];
          values[k] = one + other;
          values[k + half] = one - other;
        }
    for (let k = start; k < start + block; k++) values[k]! *= scale;
  }
}
