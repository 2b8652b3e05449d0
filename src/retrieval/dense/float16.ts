/** Half precision (IEEE 754 binary16) for Nodes without Float16Array: values as 16-bit patterns in a Uint16Array. */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The pattern nearest to a float32 value, ties to even; beyond ±65,504 (rounded) infinity. */
export function toHalf(value: number): number {
  float[0] = value;
  const pattern = bits[0]!;
  const sign = (pattern >>> 16) & 0x8000;
  const magnitude = pattern & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65,520 and above round to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Below 2^-14 halves are subnormal, multiples of 2^-24: adding 2^-1 · 2^0 aligns the float32 mantissa to them and rounds.
  if (magnitude < 0x38800000) {
    bits[0] = magnitude;
    float[0] = float[0]! + 0.5;
    return sign | (bits[0]! - 0x3f000000);
  }
  const odd = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0x0fff + odd) >>> 13);
}

/** The value of every pattern. */
const values = Float32Array.from({ length: 0x10000 }, (_, pattern) => {
  const sign = pattern & 0x8000 ? -1 : 1;
  const exponent = (pattern >>> 10) & 0x1f;
  const mantissa = pattern & 0x3ff;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1024 + mantissa) * 2 ** (exponent - 25);
});

/** The value of a pattern, exactly. */
export function fromHalf(pattern: number): number {
  return values[pattern]!;
}
