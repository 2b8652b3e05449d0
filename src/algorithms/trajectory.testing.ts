/** Trajectories for tests: only what a test says differs from a plain correct one. The reward is exact match unless it is given. */
import type { Trajectory } from '../rollout/trajectory.ts';

export function makeTrajectory(part: Partial<Trajectory> & { queries?: readonly string[] } = {}): Trajectory {
  const { queries = ['a query'], ...fields } = part;
  const ids = fields.ids ?? [5, 6, 7, 8];
  return {
    questionId: 'q1',
    dataset: 'test',
    rollout: 0,
    prompt: [1, 2, 3],
    mask: ids.map(() => 1 as const),
    logprobs: ids.map((_, i) => -0.25 * (i + 1)),
    searches: queries.map((query) => ({ query, passages: [] })),
    stop: 'answered',
    answer: 'x',
    correct: 1,
    reward: fields.correct ?? 1,
    wellFormed: true,
    grounded: true,
    ...fields,
    ids,
  };
}
