/**
 * The two 16-bit types that weights are kept in, to and from float32. Widening is exact; narrowing rounds to the nearest
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
  halfValues ??= Float32Array.from({ length: 0x10000 }, (_, bits) => halfValue(bits));
  for (let i = 0; i < from.length; i++) to[i] = halfValues[from[i]!]!;
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

/** Values from 65,520 on become infinite. */
export function float32ToFloat16(from: Float32Array, to: Uint16Array): void {
  const bits = new Uint32Array(from.buffer, from.byteOffset, from.length);
  for (let i = 0; i < bits.length; i++) {
    const sign = (bits[i]! >>> 16) & 0x8000;
    const magnitude = bits[i]! & 0x7fffffff;
    to[i] = sign | halfBits(magnitude, from[i]!);
  }
}

/** @param magnitude the bits of a float32 without its sign */
function halfBits(magnitude: number, value: number): number {
  if (magnitude > 0x7f800000) return 0x7e00; // NaN
  if (magnitude >= 0x477ff000) return 0x7c00; // 65,520 and more: infinite
  if (magnitude < 0x38800000) {
    // Below 2^-14, numbers of 2^-24 each. Adding 2^23 rounds to whole ones, ties to even (doubles would not: hence fround).
    return Math.fround(Math.abs(value) * 2 ** 24 + 2 ** 23) - 2 ** 23;
  }
  // The exponent's bias from 127 to 15, 13 bits of the fraction rounded away.
  return (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
}

/** The value of every float16, made when first needed. */
let halfValues: Float32Array | undefined;

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = (bits & 0x3ff) / 1024;
  if (exponent === 0) return sign * fraction * 2 ** -14;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction) * 2 ** (exponent - 15);
}
