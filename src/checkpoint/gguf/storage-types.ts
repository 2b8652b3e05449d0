/** How GGUF keeps numbers: in blocks of 1, 32 or 256 that follow one another along a row. */
import { bfloat16ToFloat32, float16ToFloat32 } from '../../base/half-floats.ts';
import * as blocks from './blocks.ts';
import * as superBlocks from './super-blocks.ts';

/** Writes the values of the block that begins at byte `at`. */
type Dequantize = (bytes: Uint8Array, at: number, values: Float32Array, to: number) => void;

interface StorageTraits {
  /** In the file's tensor records. */
  readonly id: number;
  readonly elements: number;
  readonly bytes: number;
  /** Null for plain numbers. */
  readonly dequantize: Dequantize | null;
  /** Fields of a block of more than one byte, [offset, bytes]: what a big-endian file has the other way round. */
  readonly wide: readonly (readonly [number, number])[];
}

/** The types that are read, by the names of ggml. */
export const STORAGE = {
  F32: { id: 0, elements: 1, bytes: 4, dequantize: null, wide: [[0, 4]] },
  F16: { id: 1, elements: 1, bytes: 2, dequantize: null, wide: [[0, 2]] },
  BF16: { id: 30, elements: 1, bytes: 2, dequantize: null, wide: [[0, 2]] },
  Q4_0: { id: 2, elements: 32, bytes: 18, dequantize: blocks.q4_0, wide: [[0, 2]] },
  Q4_1: {
    id: 3,
    elements: 32,
    bytes: 20,
    dequantize: blocks.q4_1,
    wide: [
      [0, 2],
      [2, 2],
    ],
  },
  Q5_0: {
    id: 6,
    elements: 32,
    bytes: 22,
    dequantize: blocks.q5_0,
    wide: [
      [0, 2],
      [2, 4],
    ],
  },
  Q5_1: {
    id: 7,
    elements: 32,
    bytes: 24,
    dequantize: blocks.q5_1,
    wide: [
      [0, 2],
      [2, 2],
      [4, 4],
    ],
  },
  Q8_0: { id: 8, elements: 32, bytes: 34, dequantize: blocks.q8_0, wide: [[0, 2]] },
  IQ4_NL: { id: 20, elements: 32, bytes: 18, dequantize: blocks.iq4_nl, wide: [[0, 2]] },
  Q2_K: {
    id: 10,
    elements: 256,
    bytes: 84,
    dequantize: superBlocks.q2_k,
    wide: [
      [80, 2],
      [82, 2],
    ],
  },
  Q3_K: { id: 11, elements: 256, bytes: 110, dequantize: superBlocks.q3_k, wide: [[108, 2]] },
  Q4_K: {
    id: 12,
    elements: 256,
    bytes: 144,
    dequantize: superBlocks.q4_k,
    wide: [
      [0, 2],
      [2, 2],
    ],
  },
  Q5_K: {
    id: 13,
    elements: 256,
    bytes: 176,
    dequantize: superBlocks.q5_k,
    wide: [
      [0, 2],
      [2, 2],
    ],
  },
  Q6_K: { id: 14, elements: 256, bytes: 210, dequantize: superBlocks.q6_k, wide: [[208, 2]] },
  IQ4_XS: {
    id: 23,
    elements: 256,
    bytes: 136,
    dequantize: superBlocks.iq4_xs,
    wide: [
      [0, 2],
      [2, 2],
    ],
  },
} as const satisfies Record<string, StorageTraits>;

export type StorageType = keyof typeof STORAGE;

/** Types that are known and not read, so that a refusal can name them. */
const OTHERS: Readonly<Record<number, string>> = {
  ...{ 4: 'Q4_2', 5: 'Q4_3', 9: 'Q8_1', 15: 'Q8_K', 16: 'IQ2_XXS', 17: 'IQ2_XS', 18: 'IQ3_XXS', 19: 'IQ1_S' },
  ...{ 21: 'IQ3_S', 22: 'IQ2_S', 24: 'I8', 25: 'I16', 26: 'I32', 27: 'I64', 28: 'F64', 29: 'IQ1_M' },
  ...{ 31: 'Q4_0_4_4', 32: 'Q4_0_4_8', 33: 'Q4_0_8_8', 34: 'TQ1_0', 35: 'TQ2_0', 36: 'IQ4_NL_4_4' },
  ...{ 37: 'IQ4_NL_4_8', 38: 'IQ4_NL_8_8', 39: 'MXFP4', 40: 'NVFP4' },
};

const byId = new Map(Object.entries(STORAGE).map(([name, { id }]) => [id as number, name as StorageType]));

export function storageTypeOf(id: number): StorageType | undefined {
  return byId.get(id);
}

/** A type's name, or its number where even that is unknown. */
export function nameOfType(id: number): string {
  return byId.get(id) ?? OTHERS[id] ?? `number ${id}`;
}

/**
 * The values of whole blocks.
 * @param bytes of exactly as many values as `values` holds, little-endian, at an even place in memory (F32: a multiple of four)
 */
export function dequantize(type: StorageType, bytes: Uint8Array, values: Float32Array): void {
  const { dequantize: block, elements, bytes: size } = STORAGE[type];
  if (block !== null) {
    for (let at = 0, to = 0; to < values.length; at += size, to += elements) block(bytes, at, values, to);
  } else if (type === 'F32') values.set(new Float32Array(bytes.buffer, bytes.byteOffset, values.length));
  else {
    const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, values.length);
    (type === 'F16' ? float16ToFloat32 : bfloat16ToFloat32)(halves, values);
  }
}

/** Turns the bytes of blocks that a big-endian machine wrote into those of a little-endian one, and back. */
export function swapBytes(type: StorageType, bytes: Uint8Array): void {
  const { bytes: size, wide } = STORAGE[type];
  for (let block = 0; block < bytes.length; block += size)
    for (const [offset, length] of wide) bytes.subarray(block + offset, block + offset + length).reverse();
}
