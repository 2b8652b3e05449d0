/**
 * Blocks of 256 values: sub-blocks of 16 or 32, each with a small scale s (and minimum m) of its own in units of the block's
 * float16 d (and dmin).
 *
 *     Q2_K  (d s) q − dmin m     16 sub-blocks of 16, s and m of 4 bits
 *     Q3_K  (d s) q              16 of 16, s of 6 bits with a sign, q from −4 to 3
 *     Q4_K  (d s) q − dmin m     8 of 32, s and m of 6 bits
 *     Q5_K  (d s) q − dmin m     8 of 32, the same
 *     Q6_K  (d s) q              16 of 16, s of 8 bits with a sign, q from −32 to 31
 *     IQ4_XS (d s) LEVELS[q]     8 of 32, s of 6 bits with a sign
 *
 * Bits of q are spread so that 32 neighbours stand in 32 neighbouring bytes. Each operation rounds to float32, as in the
 * reference.
 */
import { fromHalf } from '../../base/half-floats.ts';
import { LEVELS } from './blocks.ts';

const { fround } = Math;
const half = (bytes: Uint8Array, at: number) => fromHalf(bytes[at]! | (bytes[at + 1]! << 8));
const signed = (byte: number) => (byte << 24) >> 24;

/** 16 bytes of s and m, 64 of q (two bits of four groups of 32 to a byte, each for 128 values), d, dmin. */
export function q2_k(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const [d, dmin] = [half(bytes, at + 80), half(bytes, at + 82)];
  for (let i = 0; i < 256; i++) {
    const scale = bytes[at + (i >> 4)]!;
    const q = (bytes[at + 16 + 32 * (i >> 7) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
    values[to + i] = fround(fround(d * (scale & 15)) * q) - fround(dmin * (scale >> 4));
  }
}

/** 32 bytes of the third bits (0 means minus 4), 64 of the two lower bits, 12 of scales, d. */
export function q3_k(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const d = half(bytes, at + 108);
  for (let i = 0; i < 256; i++) {
    const sub = i >> 4;
    // Four bits of a scale in the first 8 bytes, sub-blocks 8 to 15 in their upper halves; two more in the last 4.
    const low = (bytes[at + 96 + (sub & 7)]! >> (sub < 8 ? 0 : 4)) & 15;
    const high = (bytes[at + 104 + (sub & 3)]! >> (2 * (sub >> 2))) & 3;
    const q = (bytes[at + 32 + 32 * (i >> 7) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
    const third = (bytes[at + (i & 31)]! >> (i >> 5)) & 1;
    values[to + i] = fround(d * ((low | (high << 4)) - 32)) * (q - (third ? 0 : 4));
  }
}

/** Scale and minimum of sub-block `sub` (of 8) in 12 bytes: 6 bits each, the upper two of the last four with the first four. */
function scaleAndMinimum(bytes: Uint8Array, at: number, sub: number): readonly [number, number] {
  if (sub < 4) return [bytes[at + sub]! & 63, bytes[at + 4 + sub]! & 63];
  const both = bytes[at + 4 + sub]!;
  return [(both & 15) | ((bytes[at + sub - 4]! >> 6) << 4), (both >> 4) | ((bytes[at + sub]! >> 6) << 4)];
}

/** d, dmin, 12 bytes of scales and minima, 128 of q: sub-blocks 2n and 2n + 1 in the halves of 32 bytes. */
export function q4_k(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const [d, dmin] = [half(bytes, at), half(bytes, at + 2)];
  for (let sub = 0; sub < 8; sub++) {
    const [scale, minimum] = scaleAndMinimum(bytes, at + 4, sub);
    const [ds, dm] = [fround(d * scale), fround(dmin * minimum)];
    for (let i = 0; i < 32; i++) {
      const q = (bytes[at + 16 + 32 * (sub >> 1) + i]! >> (4 * (sub & 1))) & 15;
      values[to + 32 * sub + i] = fround(ds * q) - dm;
    }
  }
}

/** As Q4_K, with 32 bytes of fifth bits before q. */
export function q5_k(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const [d, dmin] = [half(bytes, at), half(bytes, at + 2)];
  for (let sub = 0; sub < 8; sub++) {
    const [scale, minimum] = scaleAndMinimum(bytes, at + 4, sub);
    const [ds, dm] = [fround(d * scale), fround(dmin * minimum)];
    for (let i = 0; i < 32; i++) {
      const low = (bytes[at + 48 + 32 * (sub >> 1) + i]! >> (4 * (sub & 1))) & 15;
      const fifth = (bytes[at + 16 + i]! >> sub) & 1;
      values[to + 32 * sub + i] = fround(ds * (low | (fifth << 4))) - dm;
    }
  }
}

/** 128 bytes of the lower four bits, 64 of the upper two, 16 scales, d; each half of the values in half of the bytes. */
export function q6_k(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const d = half(bytes, at + 208);
  for (let i = 0; i < 256; i++) {
    const [part, group] = [i >> 7, (i >> 5) & 3];
    const low = (bytes[at + 64 * part + 32 * (group & 1) + (i & 31)]! >> (4 * (group >> 1))) & 15;
    const high = (bytes[at + 128 + 32 * part + (i & 31)]! >> (2 * group)) & 3;
    values[to + i] = fround(d * signed(bytes[at + 192 + (i >> 4)]!)) * ((low | (high << 4)) - 32);
  }
}

/** d, two bytes with the upper two bits of eight scales, four with their lower bits, 128 of q: a sub-block in the halves of 16. */
export function iq4_xs(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const d = half(bytes, at);
  const highs = bytes[at + 2]! | (bytes[at + 3]! << 8);
  for (let sub = 0; sub < 8; sub++) {
    const low = (bytes[at + 4 + (sub >> 1)]! >> (4 * (sub & 1))) & 15;
    const ds = fround(d * ((low | (((highs >> (2 * sub)) & 3) << 4)) - 32));
    for (let i = 0; i < 32; i++) {
      const q = (bytes[at + 8 + 16 * sub + (i & 15)]! >> (i < 16 ? 0 : 4)) & 15;
      values[to + 32 * sub + i] = ds * LEVELS[q]!;
    }
  }
}
