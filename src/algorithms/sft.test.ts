import { expect, it } from 'vitest';
import { acceptedTrajectories, crossEntropyBatch } from './sft.ts';
import { makeTrajectory } from './trajectory.testing.ts';

it('weighs what the policy wrote, and nothing else', () => {
  const batch = crossEntropyBatch([
    { prompt: [1, 2], ids: [3, 4, 5], mask: [1, 0, 1] },
    { prompt: [6], ids: [7], mask: [1] },
  ]);
  expect(batch).toMatchObject({ loss: 'cross-entropy', denominator: 3 });
  expect(batch.sequences.map(({ ids, weights }) => [ids, [...weights]])).toEqual([
    [
      [1, 2, 3, 4, 5],
      [0, 0, 1, 0, 1],
    ],
    [
      [6, 7],
      [0, 1],
    ],
  ]);
  expect(crossEntropyBatch([{ prompt: [1], ids: [2], mask: [0] }]).denominator).toBe(1);
});

it('accepts correct and well-formed trajectories of every group', () => {
  const right = makeTrajectory({ correct: 1, wellFormed: true });
  const groups = [
    [right, makeTrajectory({ correct: 0 }), makeTrajectory({ correct: 1, wellFormed: false })],
    [makeTrajectory({ correct: 1, wellFormed: true, stop: 'search-failed' })],
    [right],
  ];
  expect(acceptedTrajectories(groups)).toEqual([right, right]);
});
