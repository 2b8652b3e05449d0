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
  const highest = 2 * half - 1;
  const perByte = 8 / bits;
  const scales = new Float32Array(rows * blocks);
  // The code of zero, which padding keeps.
  const codes = new Uint8Array((rows * blocks * BLOCK) / perByte).fill(bits === 8 ? 128 : 0x88);
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
    scales[block] = -extreme / half;
    const inverse = -half / extreme;
    // Rounded by cutting off (x + ½): half the codes are added first, so that nothing is negative.
    const shift = half + 0.5;
    const target = (block * BLOCK) / perByte;
    const code = (i: number) => Math.min(highest, (matrix[start + i]! * inverse + shift) | 0);
    if (bits === 8) for (let i = 0; i < size; i++) codes[target + i] = code(i);
    else for (let i = 0; i < size; i += 2) codes[target + i / 2] = code(i) | ((i + 1 < size ? code(i + 1) : half) << 4);
  }
  return { codes, scales, blocks };
}
