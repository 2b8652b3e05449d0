import { describe, expect, it } from 'vitest';
import { type RewardPart, rewardOf } from './reward.ts';
import { makeTrajectory } from './trajectory.testing.ts';

const question = { id: 'q1', dataset: 'test', question: 'who ?', answers: ['queen elizabeth', 'x'] };
const finished = (part: Parameters<typeof makeTrajectory>[0]) => ({
  question,
  trajectory: makeTrajectory(part),
  text: [],
});
const exact = (right: number, wrong: number): RewardPart => ({ part: 'answer', by: 'exact-match', right, wrong });
const byF1 = (right: number, wrong: number): RewardPart => ({ part: 'answer', by: 'f1', right, wrong });

describe('a reward', () => {
  it('by exact match is what is correct, whatever the answer looks like', () => {
    const reward = rewardOf([exact(1, 0)]);
    for (const correct of [0, 1] as const) expect(reward(finished({ correct, answer: 'x' }))).toBe(correct);
    expect(rewardOf([exact(0.8, -1)])(finished({ correct: 0, answer: null }))).toBe(-1);
    expect(rewardOf([exact(0.8, -1)])(finished({ correct: 1 }))).toBe(0.8);
  });

  it('by F1 takes the best of the gold answers', () => {
    const reward = rewardOf([byF1(1, -0.5)]);
    // One of one word shared with one of two: 2 · 1 / (1 + 2).
    expect(reward(finished({ correct: 0, answer: 'The Queen!' }))).toBeCloseTo(2 / 3, 12);
    expect(reward(finished({ correct: 1, answer: 'x' }))).toBe(1);
    expect(reward(finished({ correct: 0, answer: 'king' }))).toBe(-0.5);
    expect(reward(finished({ correct: 0, answer: null }))).toBe(-0.5);
    expect(rewardOf([byF1(3, 0)])(finished({ correct: 0, answer: 'queen' }))).toBeCloseTo(2, 12);
  });

  it('is the sum of its parts', () => {
    const of = (parts: readonly RewardPart[]) => rewardOf(parts)(finished({ correct: 0, answer: 'queen' }));
    expect(of([])).toBe(0);
    expect(of([exact(1, -1), byF1(1, 0)])).toBeCloseTo(of([exact(1, -1)]) + of([byF1(1, 0)]), 12);
  });
});
