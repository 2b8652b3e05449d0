import { expect, it } from 'vitest';
import { question } from '../rollout/testing/environment.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import { questionFigures } from './measure-questions.ts';

const trajectory = (questionId: string, answer: string | null, changes: Partial<Trajectory> = {}): Trajectory => ({
  questionId,
  dataset: 'test',
  rollout: 0,
  prompt: [1],
  ids: [2, 3, 4],
  mask: [1, 1, 0],
  logprobs: [0, 0, 0],
  searches: [],
  stop: 'answered',
  answer,
  correct: answer === 'gold' ? 1 : 0,
  reward: 0,
  wellFormed: answer !== null,
  grounded: null,
  ...changes,
});

it('what was learned is counted over what was measured: pass@1, pass@k, mixed groups', () => {
  const questions = ['a', 'b', 'c', 'd'].map((id) => question(id, id, ['gold', 'gold ring']));
  const greedy = [trajectory('a', 'gold'), trajectory('b', 'unknown'), trajectory('c', null), trajectory('d', 'gold')];
  const sampled = [
    ...['gold', 'gold', 'gold', 'x'].map((answer) => trajectory('a', answer)),
    ...['x', 'y', 'x', 'a ring'].map((answer) => trajectory('b', answer)),
    ...['x', 'x', 'x', 'x'].map((answer) => trajectory('c', answer)),
    // One of these failed: it is in no mean.
    ...['gold', 'gold', 'gold'].map((answer) => trajectory('d', answer)),
    trajectory('d', null, { stop: 'search-failed' }),
  ];
  const figures = questionFigures(questions, greedy, sampled, 4);
  expect(figures).toMatchObject({ questions: 4, samples: 4, failures: 1 });
  expect(figures.greedy).toMatchObject({ exactMatch: 0.5, f1: 0.5, wellFormed: 0.75, unknown: 0.25, policyTokens: 2 });
  // By hand: Wilson's interval of 2 in 4.
  expect(figures.greedy.exactMatchInterval.low).toBeCloseTo(0.15, 2);
  expect(figures.greedy.exactMatchInterval.high).toBeCloseTo(0.85, 2);
  expect(figures.passAt1).toBeCloseTo((0.75 + 0 + 0 + 1) / 4);
  expect(figures.passAtSamples).toBe(0.5);
  // By exact match only a's group is mixed; by F1 b's too, for "ring" is half of "gold ring".
  expect(figures.mixedGroups).toBe(0.25);
  expect(figures.mixedGroupsByF1).toBe(0.5);
  expect(figures.sampled.exactMatch).toBeCloseTo(6 / 15);
});
