import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claims } from './claims.ts';
import type { Difference, RunSummary } from './schema.ts';
import { decide, decideClaims } from './verdicts.ts';

describe('the rule', () => {
  it.each([
    ['higher', 0.01, 0.05, 'supported'],
    ['higher', -0.05, -0.01, 'not supported'],
    ['higher', -0.015, 0.015, 'not supported'],
    ['higher', -0.015, 0.03, 'undecided'],
    ['higher', 0, 0.1, 'undecided'],
    ['lower', -0.3, -0.1, 'supported'],
    ['lower', 0.1, 0.3, 'not supported'],
    ['lower', -0.3, 0.1, 'undecided'],
    ['not-lower', -0.019, 0.1, 'supported'],
    ['not-lower', -0.1, -0.03, 'not supported'],
    ['not-lower', -0.05, 0.1, 'undecided'],
  ] as const)('%s: [%d, %d] is %s', (kind, low, high, verdict) => {
    expect(decide(kind, { low, high }, 0.02)).toBe(verdict);
  });

  it('never supports both of two opposite claims, and turns with the sign', () => {
    const bound = fc.double({ min: -1, max: 1, noNaN: true });
    fc.assert(
      fc.property(bound, bound, fc.double({ min: 0, max: 0.5, noNaN: true }), (a, b, margin) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const [higher, lower] = [decide('higher', { low, high }, margin), decide('lower', { low, high }, margin)];
        expect([higher, lower]).not.toEqual(['supported', 'supported']);
        expect(decide('lower', { low: -high, high: -low }, margin)).toBe(higher);
      }),
    );
  });
});

const difference = (arm: string, searches: number, low: number, high: number, values: number[]): Difference => ({
  arm,
  reference: 'e1',
  mode: { decoding: 'sampled', searches },
  measure: 'exactMatch',
  estimate: (low + high) / 2,
  low,
  high,
  bySeed: values.map((value, i) => ({ seed: `seed-00${i + 1}`, value })),
});

function distilledRun(largestLoss: number, skippedSteps: number): RunSummary {
  const none = { klThink: null, klSearch: null, klAnswer: null, klTag: null, clipFraction: null, entropy: null };
  return {
    seed: 'seed-001',
    arm: 'same-prompt',
    seconds: null,
    trainingSeconds: null,
    trainingTokens: null,
    stages: [],
    gates: [],
    pools: [],
    training: [{ stage: 'e1-1', steps: 6, skippedSteps, loss: largestLoss, largestLoss, ...none }],
  };
}

describe('sentences', () => {
  it('turn a difference that was measured the other way round', () => {
    const [at4, at2, missing] = decideClaims(
      ['e1', 'grpo-tokens'],
      [],
      [
        difference('grpo-tokens', 4, -0.06, -0.02, [-0.05, -0.03, 0.01]),
        difference('grpo-tokens', 2, 0.01, 0.05, [0.03]),
      ],
    );
    expect(at4).toEqual({
      claim: 'Self-distillation beats GRPO of equal tokens (exact match, at most 4 searches)',
      verdict: 'supported',
      sentence: 'e1 − grpo-tokens is +0.040 (95 % interval +0.020 to +0.060; above 0 in 2 of 3 seeds).',
    });
    expect(at2!.verdict).toBe('undecided');
    expect(at2!.sentence).toContain('With one seed the interval is over questions alone');
    expect(missing).toMatchObject({ verdict: 'not run' });
  });

  it('say when a sure difference is a small one', () => {
    const [small] = decideClaims(['e1', 'grpo-tokens'], [], [difference('grpo-tokens', 4, -0.015, -0.005, [0, -0.02])]);
    expect(small).toMatchObject({ verdict: 'supported', sentence: expect.stringContaining('is smaller than 0.02.') });
  });

  it('say when no difference is shown to be more than the margin', () => {
    const [none] = decideClaims(['e1', 'grpo-tokens'], [], [difference('grpo-tokens', 4, -0.01, 0.005, [0, 0.01])]);
    expect(none).toMatchObject({ verdict: 'not supported', sentence: expect.stringContaining('within ±0.02.') });
  });

  it('are of arms in the experiment alone', () => {
    expect(decideClaims(['e1', 'grpo-tokens'], [], [])).toHaveLength(3);
    expect(decideClaims(['e1'], [], [])).toEqual([]);
    expect(new Set(claims.map((claim) => claim.says)).size).toBe(claims.length);
  });

  it.each([
    [0, 6, 'supported', 'exactly 0, no step moved'],
    [1e-9, 6, 'not supported', '1.0e-9'],
    [0, 5, 'not supported', '1 step moved a weight'],
  ] as const)('same prompt with a largest loss of %d and %d steps skipped', (loss, skipped, verdict, text) => {
    const [found] = decideClaims(['same-prompt'], [distilledRun(loss, skipped)], []);
    expect(found!.verdict).toBe(verdict);
    expect(found!.sentence).toContain(text);
    expect(decideClaims(['same-prompt'], [], [])[0]!.verdict).toBe('not run');
  });
});
