import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupAdvantages, policyGradientBatch, samplerGap, weighGroups, zeroVarianceShare } from './grpo.ts';
import { makeTrajectory } from './trajectory.testing.ts';

const clip = { clipLow: 0.2, clipHigh: 0.2, klCoefficient: 0.001 };

describe('groupAdvantages', () => {
  // The values of G = 5 with c correct, by hand from the formula.
  it.each([
    [1, 1.7889, -0.4472],
    [2, 1.0954, -0.7303],
    [3, 0.7303, -1.0954],
    [4, 0.4472, -1.7889],
  ])('with %i of 5 correct', (correct, right, wrong) => {
    const rewards = Array.from({ length: 5 }, (_, i) => (i < correct ? 1 : 0));
    const advantages = groupAdvantages(rewards);
    expect(advantages[0]).toBeCloseTo(right, 4);
    expect(advantages[4]).toBeCloseTo(wrong, 4);
  });

  it('is zero for groups without variance, for one reward and for none', () => {
    expect(groupAdvantages([1, 1, 1])).toEqual([0, 0, 0]);
    expect(groupAdvantages([0, 0])).toEqual([0, 0]);
    expect(groupAdvantages([1])).toEqual([0]);
    expect(groupAdvantages([])).toEqual([]);
  });

  it('is exactly zero for equal rewards that floating point cannot average', () => {
    // (0.1 + 0.1 + 0.1) / 3 is not 0.1.
    for (const n of [2, 3, 5, 7, 10])
      for (const r of [0.1, 0.3, 1 / 3, -0.7, 1e-9, 123.456])
        expect(groupAdvantages(new Array(n).fill(r))).toEqual(new Array(n).fill(0));
  });

  it('has mean 0, and does not change when a constant is added', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -8, max: 8 }), { minLength: 2, maxLength: 9 }), (rewards) => {
        const advantages = groupAdvantages(rewards);
        expect(advantages.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 6);
        const shifted = groupAdvantages(rewards.map((r) => r + 4));
        shifted.forEach((a, i) => {
          expect(a).toBeCloseTo(advantages[i]!, 9);
        });
      }),
    );
  });
});

describe('policyGradientBatch', () => {
  const right = makeTrajectory({ ids: [5, 6, 7], mask: [1, 0, 1], logprobs: [-0.5, 0, -2], correct: 1 });
  const wrong = makeTrajectory({ ids: [5, 9], mask: [1, 1], logprobs: [-0.5, -1], correct: 0, rollout: 1 });

  it('writes streams aligned with prompt and response', () => {
    const batch = policyGradientBatch(weighGroups([[right, wrong]]), undefined, { ...clip, klCoefficient: 0 });
    const [first] = batch.sequences;
    expect(first!.ids).toEqual([1, 2, 3, 5, 6, 7]);
    expect([...first!.mask]).toEqual([0, 0, 0, 1, 0, 1]);
    expect([...first!.oldLogprobs]).toEqual([0, 0, 0, -0.5, 0, -2]);
    expect([...first!.advantages].slice(0, 3)).toEqual([0, 0, 0]);
    expect(first!.advantages[3]).toBeCloseTo(Math.SQRT1_2, 5);
    expect(batch.sequences[1]!.advantages[4]).toBeCloseTo(-Math.SQRT1_2, 5);
    expect(batch.denominator).toBe(4);
  });

  it('takes an advantage for each token, and refuses too few of them', () => {
    const settings = { ...clip, klCoefficient: 0 };
    const each = Float32Array.of(0.5, 9, -0.25);
    const batch = policyGradientBatch([{ trajectory: right, advantage: each }], undefined, settings);
    expect([...batch.sequences[0]!.advantages]).toEqual([0, 0, 0, 0.5, 9, -0.25]);
    // The environment's token stays out by the mask, not by its advantage.
    expect([...batch.sequences[0]!.mask]).toEqual([0, 0, 0, 1, 0, 1]);
    const short = [{ trajectory: right, advantage: each.subarray(1) }];
    expect(() => policyGradientBatch(short, undefined, settings)).toThrow('2 advantages for the 3 tokens');
  });

  it('gives a number the same streams as that number for each token', () => {
    const settings = { ...clip, klCoefficient: 0 };
    const one = policyGradientBatch([{ trajectory: right, advantage: -0.7 }], undefined, settings);
    const each = new Float32Array(right.ids.length).fill(-0.7);
    expect(policyGradientBatch([{ trajectory: right, advantage: each }], undefined, settings)).toEqual(one);
  });

  it('trains under the plain prompt what was sampled under a hint, and keeps to log π_old of the hint', () => {
    const hinted = { ...right, prompt: [1, 2, 3, 80, 81], plainPrompt: [1, 2] };
    const weighted = [{ trajectory: hinted, advantage: 0.5 }];
    const settings = { ...clip, klCoefficient: 0 };
    const [sequence] = policyGradientBatch(weighted, undefined, settings).sequences;
    expect(sequence!.ids).toEqual([1, 2, 5, 6, 7]);
    expect([...sequence!.mask]).toEqual([0, 0, 1, 0, 1]);
    expect([...sequence!.advantages]).toEqual([0, 0, 0.5, 0.5, 0.5]);
    expect([...sequence!.oldLogprobs]).toEqual([0, 0, -0.5, 0, -2]);
    // Of an approximate sampler: the trainer's, under the hint, over hint and response.
    const recomputed = [Float32Array.of(0, -9, -9, -9, -9, -0.75, -9, -1.5)];
    const [again] = policyGradientBatch(weighted, undefined, settings, recomputed).sequences;
    expect([...again!.oldLogprobs]).toEqual([0, 0, -0.75, -9, -1.5]);
    expect(samplerGap(weighted, recomputed)).toEqual({ mean: 0.375, max: 0.5 });
  });

  it('trains on the reward, whatever is correct', () => {
    const shaped = [
      makeTrajectory({ correct: 1, reward: 0.2 }),
      makeTrajectory({ correct: 1, reward: 0.8, rollout: 1 }),
    ];
    const [low, high] = weighGroups([shaped]).map(({ advantage }) => advantage as number);
    expect(low).toBeCloseTo(-Math.SQRT1_2, 4);
    expect(high).toBeCloseTo(Math.SQRT1_2, 4);
    expect(zeroVarianceShare([shaped])).toBe(0);
  });

  it('counts zero-variance groups in the denominator and keeps them for KL and entropy', () => {
    const flat = [makeTrajectory({ questionId: 'q2' }), makeTrajectory({ questionId: 'q2', rollout: 1 })];
    const groups = [[right, wrong], flat];
    const reference = [6, 5, 7, 7].map((n) => new Float32Array(n));
    expect(policyGradientBatch(weighGroups(groups), reference, clip).sequences).toHaveLength(4);
    const withoutKl = policyGradientBatch(weighGroups(groups), undefined, { ...clip, klCoefficient: 0 });
    expect(withoutKl.sequences).toHaveLength(4);
    expect(withoutKl.sequences[2]!.advantages.every((a) => a === 0)).toBe(true);
    expect(withoutKl.denominator).toBe(4 + 8);
    expect(zeroVarianceShare(groups)).toBe(0.5);
  });

  it('leaves failures out of group, batch and denominator', () => {
    const failed = makeTrajectory({ correct: 0, stop: 'search-failed', rollout: 2 });
    const weighted = weighGroups([[right, failed, makeTrajectory({ rollout: 3 })]]);
    expect(weighted.map((w) => w.advantage)).toEqual([0, 0]);
    expect(policyGradientBatch(weighted, undefined, { ...clip, klCoefficient: 0 }).denominator).toBe(2 + 4);
  });
});

describe('samplerGap', () => {
  const trajectory = makeTrajectory({ ids: [5, 6, 7], mask: [1, 0, 1], logprobs: [-0.5, 0, -2] });
  const start = new Array<number>(trajectory.prompt.length).fill(-9);
  const recomputed = [Float32Array.of(...start, -0.75, -9, -1.5)];

  it('looks at the tokens of the policy alone', () => {
    expect(samplerGap([{ trajectory, advantage: 1 }], recomputed)).toEqual({ mean: 0.375, max: 0.5 });
    expect(samplerGap([], [])).toEqual({ mean: 0, max: 0 });
  });

  it('is mended by recomputed log-probabilities', () => {
    const settings = { clipLow: 0.2, clipHigh: 0.2, klCoefficient: 0 };
    const batch = policyGradientBatch([{ trajectory, advantage: 1 }], undefined, settings, recomputed);
    expect(batch.sequences[0]!.oldLogprobs).toEqual(recomputed[0]);
  });
});
