import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import { fitLaw } from './law.ts';

const point = (seed: number, gap: number, gain: number) => ({ seed: `seed-00${seed}`, arm: 'e1', gap, gain });

describe('the law', () => {
  it('is the least-squares line, as computed by hand', () => {
    // Means 2 and 3; deviations −1, 0, 1 and −2, 1, 1: Σ xx = 2, Σ xy = 3, Σ yy = 6.
    const fit = fitLaw([point(1, 1, 1), point(2, 2, 4), point(3, 3, 4)])!;
    expect(fit.slope).toBeCloseTo(1.5, 5);
    expect(fit.intercept).toBeCloseTo(0, 5);
    expect(fit.correlation).toBeCloseTo(3 / Math.sqrt(2 * 6), 5);
  });

  it('is certain on a line, and its correlation has no interval with four seeds', () => {
    const onLine = [0.1, 0.2, 0.3, 0.4, 0.5].map((gap, i) => point(i + 1, gap, 0.5 - gap));
    expect(fitLaw(onLine)).toEqual({
      slope: -1,
      intercept: 0.5,
      correlation: -1,
      correlationInterval: { low: -1, high: -1 },
    });
    expect(fitLaw(onLine.map((one, i) => ({ ...one, seed: `${i % 4}` })))!.correlationInterval).toBeNull();
  });

  it('has an interval of its correlation that covers the truth in most of 100 experiments of six seeds', () => {
    const random = new Random(streamKey('experiment', 'law test'));
    // Gap and gain share half of their variance: the correlation is ½.
    let covered = 0;
    for (let i = 0; i < 100; i++) {
      const points = Array.from({ length: 6 }, (_, seed) => {
        const shared = random.normal();
        return point(seed, shared + random.normal(), shared + random.normal());
      });
      const { low, high } = fitLaw(points)!.correlationInterval!;
      if (low <= 0.5 && 0.5 <= high) covered += 1;
    }
    expect(covered).toBeGreaterThanOrEqual(88);
    expect(covered).toBeLessThan(100);
  });

  it('is not drawn through two points, or where all gaps or gains are equal', () => {
    expect(fitLaw([point(1, 1, 2), point(2, 2, 3)])).toBeNull();
    expect(fitLaw([1, 2, 3].map((seed) => point(seed, 0.1, seed)))).toBeNull();
    expect(fitLaw([1, 2, 3].map((seed) => point(seed, seed, 0.1)))).toBeNull();
    expect(fitLaw([])).toBeNull();
  });
});
