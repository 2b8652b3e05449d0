import { expect, it } from 'vitest';
import { makeTrajectory } from '../algorithms/trajectory.testing.ts';
import { type Health, healthOf, signOfCollapse } from './guards.ts';
import { presets } from './presets.ts';

const guards = { ...presets.default.guards, window: 3, minEntropy: 0.1, minWellFormed: 0.5, maxZeroVariance: 0.9 };
const healthy: Health = { entropy: 0.5, zeroVariance: 0.2, wellFormed: { nq: { good: 9, all: 10 } } };
const window = (part: Partial<Health>) => Array.from({ length: 3 }, () => ({ ...healthy, ...part }));

it('lets a healthy round go on, and judges full windows only', () => {
  expect(signOfCollapse(window({}), guards)).toBeUndefined();
  expect(signOfCollapse(window({ entropy: 0 }).slice(1), guards)).toBeUndefined();
});

it('does not watch an entropy that was not measured', () => {
  expect(signOfCollapse(window({ entropy: null }), guards)).toBeUndefined();
  expect(signOfCollapse(window({ entropy: null, zeroVariance: 1 }), guards)).toContain('no variance');
  // Where some steps have one, those are judged.
  expect(signOfCollapse([...window({ entropy: null }).slice(1), ...window({ entropy: 0 }).slice(2)], guards)).toContain(
    'entropy',
  );
});

it.each([
  [{ entropy: 0.01 }, 'entropy'],
  [{ entropy: Number.NaN }, 'entropy'],
  [{ zeroVariance: 1 }, 'no variance'],
  [{ wellFormed: { nq: { good: 10, all: 10 }, hotpotqa: { good: 2, all: 10 } } }, 'hotpotqa'],
])('stops at %j', (part, reason) => {
  expect(signOfCollapse(window(part), guards)).toContain(reason);
});

it('does not judge a suite by a handful of rollouts', () => {
  expect(signOfCollapse(window({ wellFormed: { nq: { good: 0, all: 3 } } }), guards)).toBeUndefined();
});

it('looks at the latest steps alone', () => {
  expect(signOfCollapse([...window({ entropy: 0 }), ...window({})], guards)).toBeUndefined();
});

it('reads health from groups; failures, and rollouts that were cut at the limit of searches, are left out', () => {
  const searches = [1, 2].map((n) => ({ query: `${n}`, passages: [] }));
  const group = [
    makeTrajectory({ dataset: 'nq', correct: 1 }),
    makeTrajectory({ dataset: 'nq', correct: 0, wellFormed: false, rollout: 1 }),
    makeTrajectory({ dataset: 'nq', correct: 0, wellFormed: false, rollout: 2, stop: 'deadline' }),
    makeTrajectory({ dataset: 'nq', correct: 0, wellFormed: false, rollout: 3, stop: 'no-answer', searches }),
  ];
  const flat = [makeTrajectory({ dataset: 'hotpotqa', questionId: 'q2' })];
  expect(healthOf([group, flat], 0.3, 2)).toEqual({
    entropy: 0.3,
    zeroVariance: 0.5,
    wellFormed: { nq: { good: 1, all: 2 }, hotpotqa: { good: 1, all: 1 } },
  });
  // Searches were left: it ended for turns without an action.
  expect(healthOf([group], 0.3, 4).wellFormed).toEqual({ nq: { good: 1, all: 3 } });
});
