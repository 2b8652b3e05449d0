import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { claims } from './claims.ts';
import { seedP } from './intervals.ts';
import type { Difference, RunSummary } from './schema.ts';
import { decide, decideClaims } from './verdicts.ts';

describe('the rule', () => {
  // Means of three seeds with a standard deviation of .01: the 95 % interval reaches .0248 to each side, the 90 % one .0169.
  const around = (mean: number) => [mean - 0.01, mean, mean + 0.01];
  it.each([
    ['higher', 0.03, 'supported'],
    ['higher', 0.02, 'undecided'],
    ['higher', -0.03, 'contrary'],
    ['higher', 0.002, 'equivalent'],
    ['higher', 0.004, 'undecided'],
    ['lower', -0.03, 'supported'],
    ['lower', 0.03, 'contrary'],
    ['lower', -0.002, 'equivalent'],
    ['not-lower', 0.006, 'supported'],
    ['not-lower', 0.002, 'undecided'],
    ['not-lower', -0.05, 'contrary'],
  ] as const)('%s: a mean of %d is %s', (kind, mean, verdict) => {
    const values = around(mean);
    expect(decide({ kind, margin: 0.02 }, values, seedP(values, kind === 'not-lower' ? -0.02 : 0))).toBe(verdict);
  });

  it('never supports both of two opposite claims, and turns with the sign', () => {
    const value = fc.double({ min: -1, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 2, maxLength: 6 }),
        fc.double({ min: 0, max: 0.5, noNaN: true }),
        (values, margin) => {
          const p = seedP(values);
          const [higher, lower] = [
            decide({ kind: 'higher', margin }, values, p),
            decide({ kind: 'lower', margin }, values, p),
          ];
          expect([higher, lower]).not.toEqual(['supported', 'supported']);
          expect(higher === 'supported').toBe(lower === 'contrary');
          const turned = values.map((each) => -each);
          expect(decide({ kind: 'lower', margin }, turned, seedP(turned))).toBe(higher);
        },
      ),
    );
  });
});

const difference = (
  arm: string,
  mode: Difference['mode'],
  low: number,
  high: number,
  values: number[],
): Difference => ({
  arm,
  reference: 'e1',
  mode,
  measure: 'exactMatch',
  estimate: (low + high) / 2,
  low,
  high,
  bySeed: values.map((value, i) => ({ seed: `seed-00${i + 1}`, value })),
});

const greedy = { decoding: 'greedy', searches: 4 } as const;
const sampled = { decoding: 'sampled', searches: 4 } as const;

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
  it('give a difference as it was measured and is drawn, whichever way round the claim has it', () => {
    const [primary, other, missing] = decideClaims(
      ['e1', 'grpo-tokens'],
      [],
      [
        difference('grpo-tokens', greedy, -0.06, -0.02, [-0.05, -0.04, -0.03]),
        difference('grpo-tokens', sampled, 0.01, 0.05, [0.03]),
      ],
    );
    // t = .04 / (.01/√3), 2 degrees: p = 1 − t/√(2 + t²) = .0203.
    expect(primary).toEqual({
      claim: 'Self-distillation beats GRPO of equal tokens (exact match, greedy, at most 4 searches)',
      verdict: 'supported',
      sentence:
        'grpo-tokens − e1 is −0.040 (95 % interval −0.060 to −0.020; below 0 in 3 of 3 seeds; p .020, the primary claim).',
    });
    expect(other!.verdict).toBe('undecided');
    expect(other!.sentence).toContain('; 1 seed)');
    expect(missing).toMatchObject({ verdict: 'not run' });
  });

  it('corrects every other claim for how many there are', () => {
    const [primary, first, second] = decideClaims(
      ['e1', 'grpo-tokens'],
      [],
      [
        difference('grpo-tokens', greedy, -0.06, -0.02, [-0.05, -0.04, -0.03]),
        difference('grpo-tokens', sampled, -0.06, -0.02, [-0.05, -0.04, -0.03]),
        difference('grpo-tokens', { ...sampled, searches: 2 }, -0.06, -0.02, [-0.06, -0.04, -0.03]),
      ],
    );
    // By Holm twice the smaller, and then the larger, were that not below what is before it.
    expect(primary!.sentence).toContain('p .020, the primary claim');
    expect(first).toMatchObject({
      verdict: 'supported',
      sentence: expect.stringContaining('p .020, .040 among 2 claims'),
    });
    expect(second).toMatchObject({
      verdict: 'supported',
      sentence: expect.stringContaining('among 2 claims'),
    });
  });

  it('say when a sure difference is a small one', () => {
    const [small] = decideClaims(
      ['e1', 'grpo-tokens'],
      [],
      [difference('grpo-tokens', greedy, -0.009, -0.007, [-0.008, -0.0081])],
    );
    expect(small).toMatchObject({ verdict: 'supported', sentence: expect.stringContaining('is smaller than 0.01.') });
  });

  it('say when no difference is shown to be more than the margin', () => {
    const [none] = decideClaims(
      ['e1', 'grpo-tokens'],
      [],
      [difference('grpo-tokens', greedy, -0.002, 0.002, [0.0005, -0.0005])],
    );
    expect(none).toMatchObject({ verdict: 'equivalent', sentence: expect.stringContaining('within ±0.01.') });
  });

  it('are of arms in the experiment alone', () => {
    expect(decideClaims(['e1', 'grpo-tokens'], [], [])).toHaveLength(4);
    expect(decideClaims(['e1'], [], [])).toEqual([]);
    expect(new Set(claims.map((claim) => claim.says)).size).toBe(claims.length);
  });

  it.each([
    [0, 6, 'supported', 'exactly 0, no step moved'],
    [1e-9, 6, 'contrary', '1.0e-9'],
    [0, 5, 'contrary', '1 step moved a weight'],
  ] as const)('same prompt with a largest loss of %d and %d steps skipped', (loss, skipped, verdict, text) => {
    const [found] = decideClaims(['same-prompt'], [distilledRun(loss, skipped)], []);
    expect(found!.verdict).toBe(verdict);
    expect(found!.sentence).toContain(text);
    expect(decideClaims(['same-prompt'], [], [])[0]!.verdict).toBe('not run');
  });
});
