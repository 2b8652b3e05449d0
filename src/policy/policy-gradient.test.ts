import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { policyGradientAt } from './policy-gradient.ts';

const settings = { clipLow: 0.2, clipHigh: 0.28, klCoefficient: 0.05 };

describe('policyGradientAt', () => {
  it('has the slope of its loss, by central differences, away from the corners of the clip', () => {
    const logprob = fc.double({ min: -5, max: 0, noNaN: true });
    fc.assert(
      fc.property(
        logprob,
        logprob,
        logprob,
        fc.double({ min: -2, max: 2, noNaN: true }),
        (present, old, reference, a) => {
          const ratio = Math.exp(present - old);
          fc.pre(ratio < 20 && Math.abs(ratio - 0.8) > 1e-3 && Math.abs(ratio - 1.28) > 1e-3);
          const lossAt = (x: number) => policyGradientAt({ present: x, old, reference }, a, settings).loss;
          const h = 1e-5;
          const numeric = -(lossAt(present + h) - lossAt(present - h)) / (2 * h);
          const { slope } = policyGradientAt({ present, old, reference }, a, settings);
          expect(Math.abs(slope - numeric)).toBeLessThan(1e-6 * (1 + Math.abs(slope) + Math.exp(reference - present)));
        },
      ),
    );
  });

  it('is worked out by hand at four tokens', () => {
    const at = (ratio: number, a: number) =>
      policyGradientAt({ present: Math.log(ratio), old: 0, reference: 0 }, a, { ...settings, klCoefficient: 0 });
    expect(at(1, 2)).toMatchObject({ loss: -2, slope: 2, ratio: 1, k3: 0, clipped: false });
    // Above the ceiling a good token gains nothing more; a bad one is still pushed down.
    expect(at(1.5, 2)).toMatchObject({ loss: expect.closeTo(-2.56), slope: 0, clipped: true });
    expect(at(1.5, -2)).toMatchObject({ loss: expect.closeTo(3), slope: expect.closeTo(-3), clipped: false });
    // Below the floor a bad token gains nothing more.
    expect(at(0.5, -2)).toMatchObject({ loss: expect.closeTo(1.6), slope: 0, clipped: true });
  });

  it('has a k3 of e^Δ − Δ − 1 and its slope β (e^Δ − 1)', () => {
    const { k3, slope, loss } = policyGradientAt({ present: -2, old: -2, reference: -1 }, 0, settings);
    expect(k3).toBeCloseTo(Math.E - 2, 12);
    expect(loss).toBeCloseTo(0.05 * (Math.E - 2), 12);
    expect(slope).toBeCloseTo(0.05 * (Math.E - 1), 12);
  });
});
