/** Lengths of passages as the score takes them: Lucene's one byte, or exact. */
import { type IndexArrays, type LengthForm, sharedArray } from './arrays.ts';

/** Lucene's `SmallFloat.longToInt4`: a float with 3 mantissa bits (the leading one implicit), rounded down. */
function toInt4(value: number): number {
  if (value < 8) return value;
  const shift = 28 - Math.clz32(value);
  return ((value >>> shift) & 7) | ((shift + 1) << 3);
}

function fromInt4(code: number): number {
  const bits = code & 7;
  const shift = (code >>> 3) - 1;
  return shift < 0 ? bits : (bits | 8) << shift;
}

/** Codes that stand for themselves; the rest of the byte is shared by the longer lengths. */
const EXACT_CODES = 255 - toInt4(0x7fffffff);

/** `SmallFloat.intToByte4`: lengths up to 39 exactly, longer ones rounded down with three bits; in [0, 255]. */
export function luceneCode(length: number): number {
  return length < EXACT_CODES ? length : EXACT_CODES + toInt4(length - EXACT_CODES);
}

/** `SmallFloat.byte4ToInt`, the smallest length with this code. */
export function luceneLength(code: number): number {
  return code < EXACT_CODES ? code : EXACT_CODES + fromInt4(code - EXACT_CODES);
}

/** The codes of the given exact lengths, and the length of each code. */
export function encodeLengths(
  lengths: Uint32Array,
  form: LengthForm,
): Pick<IndexArrays, 'length' | 'lengthCodes' | 'codeLengths'> {
  return form === 'lucene' ? encodeLucene(lengths) : encodeExact(lengths);
}

function encodeLucene(lengths: Uint32Array) {
  const codeLengths = sharedArray(Uint32Array, 256);
  for (let code = 0; code < 256; code++) codeLengths[code] = luceneLength(code);
  const lengthCodes = sharedArray(Uint8Array, lengths.length);
  for (let i = 0; i < lengths.length; i++) lengthCodes[i] = luceneCode(lengths[i]!);
  return { length: 'lucene', lengthCodes, codeLengths } as const;
}

function encodeExact(lengths: Uint32Array) {
  const occurring = [...new Set(lengths)].sort((x, y) => x - y);
  const codeLengths = sharedArray(Uint32Array, occurring.length);
  codeLengths.set(occurring);
  const codes = new Map(occurring.map((length, code) => [length, code]));
  const lengthCodes = sharedArray(Uint32Array, lengths.length);
  for (let i = 0; i < lengths.length; i++) lengthCodes[i] = codes.get(lengths[i]!)!;
  return { length: 'exact', lengthCodes, codeLengths } as const;
}
