import { expect, it } from 'vitest';
import { advantagesOf } from './advantages.ts';
import { weighGroups } from './grpo.ts';
import { makeTrajectory } from './trajectory.testing.ts';

it('of a trajectory ask nobody, and are those of the group-normalised reward', async () => {
  const groups = [
    [makeTrajectory({ correct: 1 }), makeTrajectory({ correct: 0, rollout: 1 })],
    [makeTrajectory({ questionId: 'q2', reward: 0.25 }), makeTrajectory({ questionId: 'q2', reward: 0.5, rollout: 1 })],
  ];
  const score = () => Promise.reject(new Error('was asked'));
  expect(await advantagesOf({ form: 'trajectory' }, { questions: [], groups, score })).toEqual(weighGroups(groups));
});
