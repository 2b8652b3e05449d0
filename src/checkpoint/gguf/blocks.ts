/**
 * Blocks of 32 values: a float16 scale d (Q4_1 and Q5_1: and a minimum m), then the numbers q, of which the lower four bits stand
 * two to a byte, those of the values 0 to 15 in the lower half.
 *
 *     Q4_0  d (q − 8)     Q5_0  d (q − 16)     Q8_0  d q, q with a sign
 *     Q4_1  d q + m       Q5_1  d q + m        IQ4_NL  d LEVELS[q]
 *
 * Each operation rounds to float32, as in the reference; products of a float16 and a few bits are exact anyway.
 */
import { fromHalf } from '../../base/half-floats.ts';

const { fround } = Math;
const half = (bytes: Uint8Array, at: number) => fromHalf(bytes[at]! | (bytes[at + 1]! << 8));

/** The 16 levels of IQ4_NL and IQ4_XS: denser around 0. */
export const LEVELS = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113] as const;

export function q4_0(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const d = half(bytes, at);
  for (let i = 0; i < 16; i++) {
    const q = bytes[at + 2 + i]!;
    values[to + i] = d * ((q & 15) - 8);
    values[to + 16 + i] = d * ((q >> 4) - 8);
  }
}

export function q4_1(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const [d, m] = [half(bytes, at), half(bytes, at + 2)];
  for (let i = 0; i < 16; i++) {
    const q = bytes[at + 4 + i]!;
    values[to + i] = fround(d * (q & 15)) + m;
    values[to + 16 + i] = fround(d * (q >> 4)) + m;
  }
}

/** The fifth bits of all 32 numbers, in four bytes. */
const fifth = (bytes: Uint8Array, at: number, i: number) => ((bytes[at + (i >> 3)]! >> (i & 7)) & 1) << 4;

export function q5_0(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const d = half(bytes, at);
  for (let i = 0; i < 16; i++) {
    const q = bytes[at + 6 + i]!;
    values[to + i] = d * (((q & 15) | fifth(bytes, at + 2, i)) - 16);
    values[to + 16 + i] = d * (((q >> 4) | fifth(bytes, at + 2, 16 + i)) - 16);
  }
}

export function q5_1(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const [d, m] = [half(bytes, at), half(bytes, at + 2)];
  for (let i = 0; i < 16; i++) {
    const q = bytes[at + 8 + i]!;
    values[to + i] = fround(d * ((q & 15) | fifth(bytes, at + 4, i))) + m;
    values[to + 16 + i] = fround(d * ((q >> 4) | fifth(bytes, at + 4, 16 + i))) + m;
  }
}

export function q8_0(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const d = half(bytes, at);
  for (let i = 0; i < 32; i++) values[to + i] = d * ((bytes[at + 2 + i]! << 24) >> 24);
}

export function iq4_nl(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const d = half(bytes, at);
  for (let i = 0; i < 16; i++) {
    const q = bytes[at + 2 + i]!;
    values[to + i] = d * LEVELS[q & 15]!;
    values[to + 16 + i] = d * LEVELS[q >> 4]!;
  }
}
