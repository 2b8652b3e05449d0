import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random, uniformAt } from '../../../base/random.ts';
import { type DrawRule, drawToken } from './sampling.ts';

/** Softmax of random logits, with many equal ones when `levels` is small. */
function probabilities(key: [number, number], size: number, levels = 1000): Float32Array {
  const random = new Random(key);
  const p = Float32Array.from({ length: size }, () => Math.exp((6 * random.below(levels)) / levels));
  const sum = p.reduce((a, b) => a + b, 0);
  return p.map((x) => x / sum);
}

const rule = (change: Partial<DrawRule>): DrawRule => ({ temperature: 1, uniform: 0.5, ...change });

/** The definition in plain words: rank everything, cut, renormalise. */
function keptPlainly(row: Float32Array, topK = row.length, topP = 1): Map<number, number> {
  const ranked = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, topK);
  const mass = (ids: number[]) => ids.reduce((sum, v) => sum + row[v]!, 0);
  let count = 1;
  while (count < ranked.length && mass(ranked.slice(0, count)) < topP * mass(ranked)) count++;
  const kept = ranked.slice(0, count);
  return new Map(kept.map((v) => [v, row[v]! / mass(kept)]));
}

describe('drawToken', () => {
  it.each<[string, Pick<DrawRule, 'topK' | 'topP'>]>([
    ['plain', {}],
    ['top-k', { topK: 7 }],
    ['top-p', { topP: 0.6 }],
    ['both', { topK: 9, topP: 0.8 }],
  ])('draws as often as the probabilities say: %s', (_, filters) => {
    const row = probabilities([1, 1], 30);
    const expected = keptPlainly(row, filters.topK, filters.topP);
    const draws = 20_000;
    const counts = new Map<number, number>();
    for (let n = 0; n < draws; n++) {
      const { id, logprob } = drawToken(row, rule({ ...filters, uniform: uniformAt([2, 2], n) }));
      expect(logprob).toBeCloseTo(Math.log(expected.get(id)!), 5);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    let statistic = 0;
    for (const [id, p] of expected) statistic += ((counts.get(id) ?? 0) - draws * p) ** 2 / (draws * p);
    // Pearson's statistic with k degrees of freedom is below k + 3.1 √(2k) + 6 with probability 0.999; the draws are fixed.
    const freedom = expected.size - 1;
    expect(statistic).toBeLessThan(freedom + 3.1 * Math.sqrt(2 * freedom) + 6);
  });

  it('keeps what the definition keeps, also among equals and at the ends', () => {
    fc.assert(
      fc.property(
        fc.nat(1000),
        fc.integer({ min: 1, max: 60 }),
        fc.constantFrom(2, 5, 1000),
        fc.option(fc.integer({ min: 1, max: 70 }), { nil: undefined }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (seed, size, levels, topK, topP, uniform) => {
          const row = probabilities([seed, 3], size, levels);
          const expected = keptPlainly(row, topK, topP);
          const { id, logprob } = drawToken(row, rule({ topK, topP, uniform }));
          expect(expected.has(id)).toBe(true);
          expect(logprob).toBeCloseTo(Math.log(expected.get(id)!), 4);
          const below = [...expected].filter(([v]) => v < id).reduce((sum, [, p]) => sum + p, 0);
          expect(below).toBeLessThan(uniform + 1e-5);
          expect(below + expected.get(id)!).toBeGreaterThan(uniform - 1e-5);
        },
      ),
      { numRuns: 300, seed: 1 },
    );
  });

  it('takes the largest at temperature 0, the first of equals', () => {
    const row = Float32Array.of(0.1, 0.4, 0.4, 0.1);
    expect(drawToken(row, rule({ temperature: 0, topK: 1, uniform: 0.99 }))).toEqual({
      id: 1,
      logprob: Math.log(row[1]!),
    });
  });

  it('never draws what is impossible, at either end of the unit interval', () => {
    const row = Float32Array.of(0, 0.25, 0, 0.75, 0, 0);
    expect(drawToken(row, rule({ uniform: 0 })).id).toBe(1);
    expect(drawToken(row, rule({ uniform: 0.25 })).id).toBe(3);
    expect(drawToken(row, rule({ uniform: 1 - 2 ** -53 })).id).toBe(3);
    // A sum that rounding leaves short of 1.
    expect(drawToken(Float32Array.of(0.5, 0.4999, 0), rule({ uniform: 0.99999 })).id).toBe(1);
  });

  it.each([{}, { topK: 2 }, { topP: 0.5 }, { temperature: 0 }])('says so when a row is not a number: %j', (change) => {
    expect(drawToken(new Float32Array(4).fill(Number.NaN), rule(change)).logprob).toBeNaN();
  });
});
