import { describe, expect, it } from 'vitest';
import type { Difference } from '../schema.ts';
import { forestPlot } from './forest.ts';

const difference = (measure: Difference['measure'], low: number, high: number): Difference => ({
  arm: 'sharpen',
  reference: 'e1',
  mode: { decoding: 'sampled', searches: 4 },
  measure,
  estimate: (low + high) / 2,
  low,
  high,
  bySeed: [{ seed: 'seed-001', value: low }],
});

describe('a forest plot', () => {
  it('has its numbers in words too, and says what either side means', () => {
    const text = forestPlot('t', [difference('exactMatch', -0.1, 0.3)])!.content.text;
    expect(text).toContain('>+0.100 [−0.100, +0.300]</text>');
    expect(text).toContain('>worse than e1 ←</text>');
    expect(forestPlot('t', [difference('searches', -1, 0)])!.content.text).toContain('>fewer than e1 ←</text>');
    expect(forestPlot('t', [])).toBeUndefined();
  });

  it('keeps to its width, the drawing left of the numbers', () => {
    for (const [low, high] of [
      [-0.1, 0.3],
      [0.2, 0.9],
      [-0.9, -0.2],
    ] as const) {
      const { content, width } = forestPlot('t', [difference('exactMatch', low, high)], 460)!;
      const drawn = [...content.text.matchAll(/ (?:x1|x2|cx)="([-\d.]+)"/g)].map(([, n]) => Number(n));
      expect(width).toBe(460);
      for (const x of drawn) expect(x >= 100 && x <= 460 - 150).toBe(true);
    }
  });
});
