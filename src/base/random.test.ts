import { describe, expect, it } from 'vitest';
import { philox, Random, streamKey, uniformAt } from './random.ts';

const hex = (words: readonly number[]) => words.map((w) => w.toString(16).padStart(8, '0')).join(' ');

describe('philox', () => {
  // Known answers published with the authors' Random123 library (kat_vectors, philox4x32 10).
  it.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ] as const)('counter %j key %j', (counter, key, expected) => {
    expect(hex(philox([...counter], [...key]))).toBe(expected);
  });
});

describe('streams', () => {
  it('are functions of key and position alone', () => {
    const key = streamKey(1, 'grpo-1', 3, 'question', 0);
    const random = new Random(key);
    const sequential = Array.from({ length: 11 }, () => random.uniform());
    expect([...sequential.keys()].reverse().map((n) => uniformAt(key, n))).toEqual(sequential.reverse());
  });

  it('differ by every part of the key, and numbers differ from their text', () => {
    const keys = [
      streamKey(1, 'a', 'b'),
      streamKey(1, 'ab'),
      streamKey(1, 'b', 'a'),
      streamKey('1', 'a', 'b'),
      streamKey(2, 'a', 'b'),
    ];
    expect(new Set(keys.map(String)).size).toBe(keys.length);
  });

  it('are uniform over many keys (chi-square, 15 degrees of freedom, 0.1 % bound 37.7)', () => {
    const bins = new Array<number>(16).fill(0);
    const n = 16_000;
    for (let i = 0; i < n; i++) bins[Math.floor(uniformAt(streamKey(7, i), i % 5) * 16)]! += 1;
    const expected = n / bins.length;
    expect(bins.reduce((sum, b) => sum + (b - expected) ** 2 / expected, 0)).toBeLessThan(37.7);
  });
});

describe('Random', () => {
  it('shuffles into a permutation, samples distinct elements', () => {
    const random = new Random(streamKey(3));
    const items = Array.from({ length: 50 }, (_, i) => i);
    expect(random.shuffle(items).sort((a, b) => a - b)).toEqual(items);
    expect(new Set(random.sample(items, 20)).size).toBe(20);
    expect(() => random.choice([])).toThrow(RangeError);
  });

  it('draws by weight and normally', () => {
    const random = new Random(streamKey(4));
    const draws = Array.from({ length: 4000 }, () =>
      random.weighted([
        ['a', 3],
        ['b', 1],
        ['c', 0],
      ]),
    );
    expect(draws.filter((d) => d === 'a').length / 4000).toBeCloseTo(0.75, 1);
    expect(draws).not.toContain('c');
    const normals = Array.from({ length: 4000 }, () => random.normal());
    const mean = normals.reduce((a, b) => a + b) / 4000;
    expect(Math.abs(mean)).toBeLessThan(0.06);
    expect(normals.reduce((a, b) => a + (b - mean) ** 2, 0) / 4000).toBeCloseTo(1, 1);
  });
});
