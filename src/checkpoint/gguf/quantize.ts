/**
 * Numbers into blocks of 32, as ggml's reference quantises them: each operation rounds to float32, the scale is kept as float16,
 * the numbers are those that the unrounded scale makes.
 *
 *     Q8_0  d = max|x| / 127                     q = round(x / d), halves away from 0
 *     Q4_0  d = x of the largest |x| / −8        q = ⌊x / d + 8.5⌋, at most 15
 *     Q4_1  d = (max − min) / 15, m = min        q = ⌊(x − m) / d + 0.5⌋, at most 15
 *
 * What is read back differs from x by at most about d / 2 (Q4_0: by d at the end opposite to its largest value), and by the
 * rounding of d and m.
 */
import { toHalf } from '../../base/half-floats.ts';

const { fround } = Math;
const BLOCK = 32;

function putHalf(bytes: Uint8Array, at: number, value: number): void {
  const pattern = toHalf(value);
  bytes[at] = pattern & 0xff;
  bytes[at + 1] = pattern >> 8;
}

const inverse = (d: number) => (d === 0 ? 0 : fround(1 / d));

export function toQ8_0(values: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  let largest = 0;
  for (let i = 0; i < BLOCK; i++) largest = Math.max(largest, Math.abs(values[from + i]!));
  const d = fround(largest / 127);
  const perUnit = inverse(d);
  putHalf(bytes, at, d);
  for (let i = 0; i < BLOCK; i++) {
    const x = fround(values[from + i]! * perUnit);
    bytes[at + 2 + i] = Math.sign(x) * Math.floor(Math.abs(x) + 0.5);
  }
}

export function toQ4_0(values: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  let extreme = values[from]!;
  for (let i = 1; i < BLOCK; i++) if (Math.abs(values[from + i]!) > Math.abs(extreme)) extreme = values[from + i]!;
  const d = fround(extreme / -8);
  const perUnit = inverse(d);
  putHalf(bytes, at, d);
  const number = (i: number) => Math.min(15, Math.trunc(fround(fround(values[from + i]! * perUnit) + 8.5)));
  for (let i = 0; i < BLOCK / 2; i++) bytes[at + 2 + i] = number(i) | (number(i + BLOCK / 2) << 4);
}

export function toQ4_1(values: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  let [least, most] = [values[from]!, values[from]!];
  for (let i = 1; i < BLOCK; i++) {
    least = Math.min(least, values[from + i]!);
    most = Math.max(most, values[from + i]!);
  }
  const d = fround(fround(most - least) / 15);
  const perUnit = inverse(d);
  putHalf(bytes, at, d);
  putHalf(bytes, at + 2, least);
  const number = (i: number) => {
    const above = fround(fround(values[from + i]! - least) * perUnit);
    return Math.min(15, Math.trunc(fround(above + 0.5)));
  };
  for (let i = 0; i < BLOCK / 2; i++) bytes[at + 4 + i] = number(i) | (number(i + BLOCK / 2) << 4);
}
