import { expect, it } from 'vitest';
import type { Gold } from '../rollout/gold.ts';
import { firstWrongTurn } from './first-wrong-turn.ts';
import { turnsTrajectory } from './step.testing.ts';

const gold: Gold = {
  steps: ['a', 'b'].map((passage) => ({ passage, key: null })),
  ordered: true,
  misstates: (words) => words.includes('false'),
};
const rollout = (correct: 0 | 1, ...found: string[]) => ({
  ...turnsTrajectory(
    [...found.map(() => [1]), [2]],
    found.map(() => [50]),
    { correct },
  ),
  searches: found.map((id, turn) => ({ query: 'q', turn, passages: [{ id, title: id, score: 1 }] })),
});

it('is the first bad search, the first false statement, or the wrong answer, whichever comes first', () => {
  const said = ['', '', ''];
  expect(firstWrongTurn(rollout(1, 'a', 'b'), said, gold)).toBeUndefined();
  expect(firstWrongTurn(rollout(1, 'a', 'a'), said, gold)).toBe(1);
  expect(firstWrongTurn(rollout(1, 'b', 'a'), said, gold)).toBe(0);
  expect(firstWrongTurn(rollout(1, 'a', 'b'), ['', 'false', ''], gold)).toBe(1);
  expect(firstWrongTurn(rollout(0, 'a', 'b'), said, gold)).toBe(2);
  expect(firstWrongTurn(rollout(0, 'a', 'x'), ['', '', 'false'], gold)).toBe(1);
  // Without an answer nothing was answered wrongly; where statements cannot be judged, searches are.
  expect(firstWrongTurn({ ...rollout(0, 'a', 'b'), answer: null }, said, gold)).toBeUndefined();
  const { misstates: _, ...unread } = gold;
  expect(firstWrongTurn(rollout(1, 'a', 'b'), ['false', '', ''], unread)).toBeUndefined();
});
