/**
 * Weights in 4 bits for decoding: blocks of 32 neighbours along a row share one scale.
 *
 *     w ≈ scale (code − 8),   codes 0 to 15,   rounded to the nearest
 *
 * The scale lets the weight of largest magnitude, sign included, fall on code 0, the only end that reaches −8:
 * every other weight then lies within the codes, and none of them is wasted.
 *
 * The layout is that of ONNX Runtime's MatMulNBits: codes [rows, blocks, 16], two to a byte with the lower one first, scales
 * [rows, blocks].
 */

export const BLOCK = 32;
/** Codes lie around this one, that of zero. */
const HALF = 8;

export interface QuantisedMatrix {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  /** Blocks of a row; the last one is filled up with zeros. */
  readonly blocks: number;
}

/** Quantises a matrix [rows, columns]. */
export function quantise(matrix: Float32Array, columns: number): QuantisedMatrix {
  const rows = matrix.length / columns;
  const blocks = Math.ceil(columns / BLOCK);
  const scales = new Float32Array(rows * blocks);
  // The code of zero, which padding keeps.
  const codes = new Uint8Array((rows * blocks * BLOCK) / 2).fill(0x88);
  for (let block = 0; block < scales.length; block++) {
    const column = (block % blocks) * BLOCK;
    const start = Math.floor(block / blocks) * columns + column;
    const size = Math.min(BLOCK, columns - column);
    let [extreme, magnitude] = [0, 0];
    for (let i = start; i < start + size; i++) {
      const value = matrix[i]!;
      if (Math.abs(value) <= magnitude) continue;
      extreme = value;
      magnitude = Math.abs(value);
    }
    // A block of zeros keeps scale 0 and the code of zero.
    if (extreme === 0) continue;
    scales[block] = -extreme / HALF;
    const inverse = -HALF / extreme;
    // Rounded by cutting off (x + ½): half the codes are added first, so that nothing is negative.
    const shift = HALF + 0.5;
    const target = (block * BLOCK) / 2;
    const code = (i: number) => Math.min(2 * HALF - 1, (matrix[start + i]! * inverse + shift) | 0);
    for (let i = 0; i < size; i += 2) codes[target + i / 2] = code(i) | ((i + 1 < size ? code(i + 1) : HALF) << 4);
  }
  return { codes, scales, blocks };
}
