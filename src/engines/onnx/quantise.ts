/**
 * Weights in 8 or 4 bits for decoding: blocks of 32 neighbours along a row share one scale.
 *
 *     w ≈ scale (code − 2^(bits−1)),   codes 0 to 2^bits − 1,   rounded to the nearest
 *
 * The scale lets the weight of largest magnitude, sign included, fall on code 0, the only end that reaches −2^(bits−1):
 * every other weight then lies within the codes, and none of them is wasted.
 *
 * The layout is that of ONNX Runtime's MatMulNBits: codes [rows, blocks, 32 bits / 8], two 4-bit codes to a byte with the
 * lower one first, scales [rows, blocks].
 */

export const BLOCK = 32;
export type WeightBits = 8 | 4;

export interface QuantisedMatrix {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  /** Blocks of a row; the last one is filled up with zeros. */
  readonly blocks: number;
}

/** Quantises a matrix [rows, columns]. */
export function quantise(matrix: Float32Array, columns: number, bits: WeightBits): QuantisedMatrix {
  const rows = matrix.length / columns;
  const blocks = Math.ceil(columns / BLOCK);
  const half = 2 ** (bits - 1);
  const perByte = 8 / bits;
  const scales = new Float32Array(rows * blocks);
  // Padding holds the code of zero.
  const codes = new Uint8Array((rows * blocks * BLOCK) / perByte).fill(bits === 8 ? 128 : 0x88);
  for (let block = 0; block < scales.length; block++) {
    const column = (block % blocks) * BLOCK;
    const start = Math.floor(block / blocks) * columns + column;
    const size = Math.min(BLOCK, columns - column);
    let extreme = 0;
    for (let i = start; i < start + size; i++) if (Math.abs(matrix[i]!) > Math.abs(extreme)) extreme = matrix[i]!;
    scales[block] = -extreme / half;
    const inverse = extreme === 0 ? 0 : -half / extreme;
    const target = (block * BLOCK) / perByte;
    for (let i = 0; i < size; i++) {
      const code = Math.min(2 * half - 1, Math.max(0, Math.round(matrix[start + i]! * inverse) + half));
      if (bits === 8) codes[target + i] = code;
      else if (i % 2 === 0) codes[target + i / 2] = 0x80 | code;
      else codes[target + (i - 1) / 2] = (codes[target + (i - 1) / 2]! & 15) | (code << 4);
    }
  }
  return { codes, scales, blocks };
}
