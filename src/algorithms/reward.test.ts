import { describe, expect, it } from 'vitest';
import type { Segment } from '../protocol/authors.ts';
import type { Gold } from '../rollout/gold.ts';
import { type RewardPart, rewardOf } from './reward.ts';
import { keysFound, pathCovered } from './reward-gold.ts';
import { makeTrajectory } from './trajectory.testing.ts';

const question = { id: 'q1', dataset: 'test', question: 'who ?', answers: ['queen elizabeth', 'x'] };
const finished = (part: Parameters<typeof makeTrajectory>[0], text: readonly Segment[] = []) => ({
  question,
  trajectory: makeTrajectory(part),
  text,
});
const answer = (by: 'exact-match' | 'f1' | 'contains', right: number, wrong: number): RewardPart => ({
  part: 'answer',
  by,
  right,
  wrong,
});
const exact = (right: number, wrong: number) => answer('exact-match', right, wrong);
const byF1 = (right: number, wrong: number) => answer('f1', right, wrong);

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

  it('by containment asks for every word of a gold answer, in any order', () => {
    const reward = rewardOf([answer('contains', 1, -1)]);
    expect(reward(finished({ correct: 0, answer: 'Elizabeth the queen, I think' }))).toBe(1);
    expect(reward(finished({ correct: 0, answer: 'the queen' }))).toBe(-1);
    // Words, not letters.
    expect(reward(finished({ correct: 0, answer: 'fox' }))).toBe(-1);
    expect(reward(finished({ correct: 0, answer: null }))).toBe(-1);
  });

  it('is the sum of its parts', () => {
    const of = (parts: readonly RewardPart[]) => rewardOf(parts)(finished({ correct: 0, answer: 'queen' }));
    expect(of([])).toBe(0);
    expect(of([exact(1, -1), byF1(1, 0)])).toBeCloseTo(of([exact(1, -1)]) + of([byF1(1, 0)]), 12);
  });

  it('with a deciding form is that of ReSearch: 0 where invalid, else F1, else .1', () => {
    const reward = rewardOf([byF1(1, 0), { part: 'form', valid: 0.1, invalid: 0, when: 'wrong', decides: true }]);
    expect(reward(finished({ answer: 'x', wellFormed: false }))).toBe(0);
    expect(reward(finished({ answer: 'queen', correct: 0 }))).toBeCloseTo(2 / 3, 12);
    expect(reward(finished({ answer: 'king', correct: 0 }))).toBeCloseTo(0.1, 12);
  });

  it('for form and search is that of R1-Searcher: containment ±1, .5 for a search, .5 for the form', () => {
    const parts: RewardPart[] = [
      answer('contains', 1, -1),
      { part: 'searched', worth: 0.5 },
      { part: 'form', valid: 0.5, invalid: 0, when: 'always', decides: false },
    ];
    const reward = rewardOf(parts);
    expect(reward(finished({ answer: 'x' }))).toBe(2);
    expect(reward(finished({ answer: 'x', queries: [] }))).toBe(1.5);
    expect(reward(finished({ answer: 'no', correct: 0, wellFormed: false }))).toBe(-0.5);
  });

  it('for an answer and its form is that of Tree-GRPO: 1 or .8 right, .2 or .1 wrong, 0 without an answer', () => {
    const form = { part: 'form', decides: false } as const;
    const reward = rewardOf([
      exact(0.9, 0),
      { part: 'answered', worth: 0.1 },
      { ...form, valid: 0, invalid: -0.2, when: 'always' },
      { ...form, valid: 0.1, invalid: 0.2, when: 'wrong' },
    ]);
    // AMAP-ML/Tree-GRPO 90b1709, verl/utils/reward_score/qa_em_format.py, with the scores of train_multihopqa_tree_search.sh.
    for (const [worth, answered, correct, wellFormed] of [
      [1, true, 1, true],
      [0.8, true, 1, false],
      [0.2, true, 0, true],
      [0.1, true, 0, false],
      [0, false, 0, false],
    ] as const)
      expect(reward(finished({ answer: answered ? 'x' : null, correct, wellFormed }))).toBeCloseTo(worth, 12);
  });

  it('for evidence is that of AutoRefine: a gold answer in what was thought behind the first passages', () => {
    const reward = rewardOf([byF1(1, 0), { part: 'evidence', worth: 0.1, in: 'thoughts', when: 'wrong' }]);
    const text = (first: string, second: string, shown = 'nothing'): Segment[] => [
      { author: 'policy', text: `<think> ${first} </think> <search> y </search>` },
      { author: 'environment', text: `<information> ${shown} </information>` },
      { author: 'policy', text: `<think> ${second} </think> <answer> king </answer>` },
    ];
    const wrong = { answer: 'king', correct: 0 } as const;
    expect(reward(finished(wrong, text('', 'it is Queen Elizabeth .')))).toBe(0.1);
    // Thought before anything was read, or read and not thought, or half of it: no evidence.
    expect(reward(finished(wrong, text('queen elizabeth', '')))).toBe(0);
    expect(reward(finished(wrong, text('', '', 'queen elizabeth')))).toBe(0);
    expect(reward(finished(wrong, text('', 'queen elizabethan')))).toBe(0);
    // Only where the answer earns nothing.
    expect(reward(finished({ answer: 'x' }, text('', 'queen elizabeth')))).toBe(1);
    const passages = rewardOf([{ part: 'evidence', worth: 0.2, in: 'passages', when: 'always' }]);
    expect(passages(finished({ answer: 'x' }, text('', '', 'Queen Elizabeth')))).toBe(0.2);
  });

  it('with a price pays for searches, of all rollouts or of right ones', () => {
    const price = (when: 'always' | 'right') => rewardOf([exact(1, 0), { part: 'price', perSearch: 0.1, when }]);
    const two = { queries: ['a', 'b'] };
    expect(price('always')(finished({ ...two }))).toBeCloseTo(0.8, 12);
    expect(price('always')(finished({ ...two, correct: 0 }))).toBeCloseTo(-0.2, 12);
    expect(price('right')(finished({ ...two, correct: 0 }))).toBe(0);
    expect(price('right')(finished({ ...two }))).toBeCloseTo(0.8, 12);
  });
});

describe('what is known from outside', () => {
  const gold: Gold = {
    steps: [
      { passage: 'a', key: 'gezor fano director' },
      { passage: 'b', key: 'lupin kata spouse' },
    ],
    ordered: true,
  };
  const search = (query: string, ...ids: string[]) => ({
    query,
    passages: ids.map((id) => ({ id, title: id, score: 1 })),
  });

  it('keys are worth the mean of the F1 of the queries matched to them', () => {
    // 1 and 2 · 2 / (2 + 3); in any order.
    const searches = [search('kata spouse'), search('gezor fano director'), search('nothing')];
    expect(keysFound(searches, gold)).toBeCloseTo((1 + 4 / 5) / 2, 12);
    expect(keysFound([], gold)).toBe(0);
  });

  it("keys are worth what StepSearch's code gives", () => {
    // Zillwang/StepSearch 43215ba, verl/utils/reward_score/qa_step.py, `step_search_keys_match` run on these queries.
    const three: Gold = {
      steps: ['gezor fano director', 'lupin kata spouse', 'sudel vomir'].map((key) => ({ passage: key, key })),
      ordered: true,
    };
    for (const [queries, worth] of [
      [['gezor fano director'], 1 / 3],
      // The later, weaker query takes the place of the first.
      [['gezor fano director', 'fano director'], 0.266667],
      [['kata', 'spouse lupin', 'gezor', 'egg'], 0.433333],
      [['director of gezor fano', 'sudel', 'sudel vomir', 'vomir'], 0.507933],
    ] as const)
      expect(
        keysFound(
          queries.map((query) => search(query)),
          three,
        ),
      ).toBeCloseTo(worth, 4);
  });

  it('a path is worth the share of steps covered, times that of searches which were needed', () => {
    expect(pathCovered([search('', 'a'), search('', 'b')], gold)).toBe(1);
    expect(pathCovered([search('', 'a'), search('', 'x'), search('', 'b', 'x')], gold)).toBeCloseTo(2 / 3, 12);
    expect(pathCovered([search('', 'b')], gold)).toBe(0.5);
    expect(pathCovered([], gold)).toBe(0);
  });

  it('is part of a reward, and missed where it is not to be had', () => {
    const parts: RewardPart[] = [exact(0.6, 0), { part: 'path', worth: 0.3 }, { part: 'keys', worth: 2 }];
    const rollout = {
      question,
      trajectory: { ...makeTrajectory(), searches: [search('gezor fano director', 'a')] },
      text: [],
    };
    expect(rewardOf(parts, () => gold)(rollout)).toBeCloseTo(0.6 + 0.3 * 0.5 + 2 * 0.5, 12);
    expect(() => rewardOf(parts)(rollout)).toThrow('nothing is known of question q1');
  });
});
