import { describe, expect, it } from 'vitest';
import { advantagesOf } from './advantages.ts';
import { groupAdvantages, weighGroups } from './grpo.ts';
import { makeStep } from './step.testing.ts';
import { makeTrajectory } from './trajectory.testing.ts';

const groups = [
  [makeTrajectory({ correct: 1 }), makeTrajectory({ correct: 0, rollout: 1 })],
  [makeTrajectory({ questionId: 'q2', reward: 0.25 }), makeTrajectory({ questionId: 'q2', reward: 0.5, rollout: 1 })],
];

it('of a trajectory ask nobody, and are those of the group-normalised reward', async () => {
  const { step } = makeStep({ groups });
  expect(await advantagesOf({ form: 'trajectory' }, step, 'deviation')).toEqual(weighGroups(groups));
  expect(await advantagesOf({ form: 'trajectory' }, step, 'none')).toEqual(weighGroups(groups, 'none'));
});

describe('what centred rewards are divided by', () => {
  /** r = 1 − c · searches, all right. */
  const priced = (price: number) => [1, 2, 3].map((searches) => 1 - price * searches);

  it('decides whether a price in an all-right group has a size', () => {
    // Divided, a price of .001 acts as one of .1; centred, a hundredth of it.
    const [small, large] = [groupAdvantages(priced(0.001)), groupAdvantages(priced(0.1))];
    for (const [i, a] of small.entries()) expect(a).toBeCloseTo(large[i]!, 2);
    expect(groupAdvantages(priced(0.1), 'none')).toEqual([0.1, 0, -0.1].map((a) => expect.closeTo(a, 12)));
    expect(groupAdvantages(priced(0.001), 'none')).toEqual([0.001, 0, -0.001].map((a) => expect.closeTo(a, 12)));
  });

  it('makes nothing of float dust', () => {
    // The same parts in three orders: equal as numbers on paper, not in the last bit.
    const dust = [0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1, 0.2 + 0.3 + 0.1];
    expect(new Set(dust).size).toBeGreaterThan(1);
    for (const scale of ['deviation', 'none'] as const) expect(groupAdvantages(dust, scale)).toEqual([0, 0, 0]);
    expect(groupAdvantages(dust.map(Math.fround), 'deviation')).toEqual([0, 0, 0]);
  });

  it('is nothing for equal and for single rewards: exactly 0', () => {
    for (const scale of ['deviation', 'none'] as const) {
      expect(groupAdvantages([0.3, 0.3, 0.3], scale)).toEqual([0, 0, 0]);
      expect(groupAdvantages([0.7], scale)).toEqual([0]);
      expect(groupAdvantages([], scale)).toEqual([]);
    }
  });
});
