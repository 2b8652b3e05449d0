import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  fromHalf,
  toHalf,
} from './half-floats.ts';
import { Random } from './random.ts';

const all = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits);
const widened = (widen: (from: Uint16Array, to: Float32Array) => void) => {
  const to = new Float32Array(all.length);
  widen(all, to);
  return to;
};
const narrowed = (narrow: (from: Float32Array, to: Uint16Array) => void, values: Float32Array) => {
  const to = new Uint16Array(values.length);
  narrow(values, to);
  return to;
};

/** Floats of all sizes, and what lies around and between neighbouring 16-bit values. */
function hardValues(exact: Float32Array): Float32Array {
  const random = new Random([5, 1]);
  const anyBits = new Float32Array(Uint32Array.from({ length: 50_000 }, () => random.below(2 ** 32)).buffer);
  const values = [...anyBits];
  for (let i = 0; i + 1 < exact.length; i++) {
    const middle = Math.fround((exact[i]! + exact[i + 1]!) / 2);
    const bits = new Int32Array(Float32Array.of(middle).buffer)[0]!;
    values.push(middle, ...new Float32Array(Int32Array.of(bits - 1, bits + 1).buffer));
  }
  return Float32Array.from(values);
}

describe('float16', () => {
  const exact = widened(float16ToFloat32);

  it('has the values of IEEE 754', () => {
    const known: [number, number][] = [
      [0x3c00, 1],
      [0xc000, -2],
      [0x7bff, 65504],
      [0x0400, 2 ** -14],
      [0x0001, 2 ** -24],
      [0x8000, -0],
      [0x7c00, Number.POSITIVE_INFINITY],
      [0x7e00, Number.NaN],
    ];
    for (const [bits, value] of known) expect(exact[bits]).toBe(value);
  });

  it('is narrowed to what it was', () => {
    const bits = narrowed(float32ToFloat16, exact);
    for (const [i, value] of exact.entries())
      if (!Number.isNaN(value) && bits[i] !== i) expect([i, bits[i]]).toEqual([i, i]);
    expect(exact[bits[0x7e01]!]).toBeNaN();
  });

  it.each([
    [65519, 65504],
    [65520, Number.POSITIVE_INFINITY],
    [-1e30, Number.NEGATIVE_INFINITY],
    [2 ** -25, 0],
    [1.5 * 2 ** -24, 2 ** -23],
    [1 + 2 ** -11, 1],
    [1 + 3 * 2 ** -11, 1 + 2 ** -9],
  ])('%s is rounded to %s', (value, expected) => {
    expect(fromHalf(toHalf(value))).toBe(expected);
  });

  it('is the nearest of all, ties to the even pattern', () => {
    // Finite ones in ascending order.
    const grid = exact.subarray(0, 0x7c00);
    fc.assert(
      fc.property(fc.float({ min: 0, max: 65000, noNaN: true }), (value) => {
        const above = grid.findIndex((half) => half >= value);
        const below = Math.max(0, above - 1);
        const [down, up] = [value - grid[below]!, grid[above]! - value];
        const expected = down < up || (down === up && below % 2 === 0) ? below : above;
        expect(fromHalf(toHalf(value))).toBe(grid[expected]);
        expect(fromHalf(toHalf(-value))).toBe(-grid[expected]!);
      }),
    );
  });

  // Newer engines have the type; the package's own Node 24 among them.
  it.skipIf(!('Float16Array' in globalThis))("rounds as the machine's own float16 does", () => {
    const values = hardValues(exact);
    const Native = (
      globalThis as unknown as { Float16Array: { from(values: Iterable<number>): { buffer: ArrayBuffer } } }
    ).Float16Array;
    const truth = new Uint16Array(Native.from(values).buffer);
    const found = narrowed(float32ToFloat16, values);
    for (let i = 0; i < values.length; i++)
      if (found[i] !== truth[i] && !Number.isNaN(values[i]))
        expect([values[i], found[i]]).toEqual([values[i], truth[i]]);
  });
});

describe('bfloat16', () => {
  const exact = widened(bfloat16ToFloat32);

  it('is narrowed to what it was', () => {
    const bits = narrowed(float32ToBfloat16, exact);
    for (const [i, value] of exact.entries())
      if (!Number.isNaN(value) && bits[i] !== i) expect([i, bits[i]]).toEqual([i, i]);
    expect(exact[bits[0x7f81]!]).toBeNaN();
  });

  it('rounds to the nearest, ties to even', () => {
    const values = hardValues(exact).filter((value) => !Number.isNaN(value));
    const found = narrowed(float32ToBfloat16, values);
    const finite = exact[0x7f7f]!;
    for (const [i, value] of values.entries()) {
      const rounded = exact[found[i]!]!;
      // In float64 the two neighbours and the middle between them are exact; infinity stands one step after the largest.
      const size = Math.abs(value);
      const at = found[i]! & 0x7fff;
      const below = at > 0 ? exact[at - 1]! : 0;
      const above = at >= 0x7f7f ? finite + 2 ** 120 : exact[at + 1]!;
      const own = at === 0x7f80 ? finite + 2 ** 120 : exact[at]!;
      const even = at % 2 === 0;
      if (Math.sign(rounded) !== Math.sign(value) && rounded !== 0) expect([value, rounded]).toBe('of another sign');
      const [low, high] = [(below + own) / 2, (own + above) / 2];
      if (!(size > low || (size === low && even) || at === 0)) expect([value, rounded]).toBe('too large');
      if (at !== 0x7f80 && !(size < high || (size === high && even))) expect([value, rounded]).toBe('too small');
    }
  });
});
