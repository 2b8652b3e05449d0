/**
 * The two 16-bit types that weights and vectors are kept in, to and from float32, for Nodes without Float16Array: values as
 * 16-bit patterns. Widening is exact; narrowing rounds to the nearest
 * value, of two equally near ones to the one whose last bit is 0, as IEEE 754 has it.
 *
 *     float16    1 bit sign, 5 bits exponent (bias 15), 10 bits fraction: up to 65,504
 *     bfloat16   the upper half of a float32
 */

export function bfloat16ToFloat32(from: Uint16Array, to: Float32Array): void {
  const bits = new Uint32Array(to.buffer, to.byteOffset, to.length);
  for (let i = 0; i < from.length; i++) bits[i] = from[i]! << 16;
}

export function float16ToFloat32(from: Uint16Array, to: Float32Array): void {
  for (let i = 0; i < from.length; i++) to[i] = fromHalf(from[i]!);
}

export function float32ToBfloat16(from: Float32Array, to: Uint16Array): void {
  const bits = new Uint32Array(from.buffer, from.byteOffset, from.length);
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i]!;
    const noNumber = (value & 0x7fffffff) > 0x7f800000;
    // Half of the last place is added, and 1 less where the last bit kept is 0; a NaN must not become infinite.
    to[i] = noNumber ? (value >>> 16) | 0x40 : (value + 0x7fff + ((value >>> 16) & 1)) >>> 16;
  }
}

export function float32ToFloat16(from: Float32Array, to: Uint16Array): void {
  for (let i = 0; i < from.length; i++) to[i] = toHalf(from[i]!);
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The float16 pattern of a float32 value; values from 65,520 on become infinite. */
export function toHalf(value: number): number {
  float[0] = value;
  const pattern = bits[0]!;
  const sign = (pattern >>> 16) & 0x8000;
  const magnitude = pattern & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65,520 and more: infinite
  if (magnitude < 0x38800000) {
    // Below 2^-14, numbers of 2^-24 each. Adding 2^23 rounds to whole ones, ties to even (doubles would not: hence fround).
    return sign | (Math.fround(Math.abs(float[0]!) * 2 ** 24 + 2 ** 23) - 2 ** 23);
  }
  // The exponent's bias from 127 to 15, 13 bits of the fraction rounded away.
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** The value of every float16 pattern, made when first needed. */
let halfValues: Float32Array | undefined;

/** The value of a float16 pattern, exactly. */
export function fromHalf(pattern: number): number {
  halfValues ??= Float32Array.from({ length: 0x10000 }, (_, each) => halfValue(each));
  return halfValues[pattern]!;
}

function halfValue(pattern: number): number {
  const sign = pattern & 0x8000 ? -1 : 1;
  const exponent = (pattern >>> 10) & 0x1f;
  const fraction = (pattern & 0x3ff) / 1024;
  if (exponent === 0) return sign * fraction * 2 ** -14;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction) * 2 ** (exponent - 15);
}
