import { expect, it } from 'vitest';
import { divergenceBatch } from './distill.ts';
import { makeTrajectory } from './trajectory.testing.ts';

it('takes the divergence on tokens that the student wrote, under both prompts, with one denominator for the batch', () => {
  const first = makeTrajectory({ ids: [4, 5, 6], mask: [1, 0, 1] });
  const second = makeTrajectory({ ids: [7, 8], mask: [1, 1] });
  const batch = divergenceBatch(
    'forward-kl',
    [first, second].map((student) => ({
      shown: makeTrajectory(),
      student,
      mask: student.mask,
      studentPrompt: [1],
      teacherPrompt: [1, 9, 9, 2],
    })),
    { clip: 10, teacherTemperature: 1 },
  );
  expect(batch.denominator).toBe(4);
  expect(batch.pairs.map((p) => [...p.mask])).toEqual([
    [1, 0, 1],
    [1, 1],
  ]);
  expect(batch.pairs[0]).toMatchObject({ ids: [4, 5, 6], studentPrompt: [1], teacherPrompt: [1, 9, 9, 2] });
});

it('takes the divergence on the masked tokens alone, and without a clip when there is none', () => {
  const student = makeTrajectory({ ids: [4, 5, 6], mask: [1, 0, 1] });
  const pair = { shown: null, student, mask: [0, 0, 1] as const, studentPrompt: [1], teacherPrompt: [1] };
  const batch = divergenceBatch('jsd', [pair], { clip: null, teacherTemperature: 1 });
  expect(batch).toMatchObject({ loss: 'jsd', denominator: 1, clip: Number.POSITIVE_INFINITY });
  expect([...batch.pairs[0]!.mask]).toEqual([0, 0, 1]);
});
