import { expect, it } from 'vitest';
import { presets } from '../evolve/presets.ts';
import { expectedWhole, withBudgetOf } from './budget.ts';

const stage = (name: string, seconds: number, sampledTokens: number, trainedTokens: number) => ({
  stage: name,
  seconds,
  sampledTokens,
  trainedTokens,
});
/** 10 steps for 100 s and 2,000 tokens; then 45 s and 1,550 tokens besides evaluation. */
const spent = {
  firstSteps: 10,
  byStage: [
    stage('evaluate-base', 500, 9000, 0),
    stage('grpo-1', 100, 800, 1200),
    stage('evaluate-grpo-1', 500, 9000, 0),
    stage('pool-1', 5, 500, 0),
    stage('gate-1', 10, 50, 0),
    stage('e1-1', 15, 0, 400),
    stage('evaluate-e1-1', 500, 9000, 0),
    stage('grpo-2', 15, 200, 400),
  ],
};
const settings = { ...presets.default, method: 'grpo' as const, cycles: 2 };

it('the later round gets what was spent after the first one, at the first one’s price of a step', () => {
  // 45 s at 10 s a step; 1,550 tokens at 200 a step.
  expect(withBudgetOf(spent, settings, 'seconds').grpo.steps).toEqual([30, 5]);
  expect(withBudgetOf(spent, settings, 'tokens').grpo.steps).toEqual([30, 8]);
});

it('several later rounds share it', () => {
  expect(withBudgetOf(spent, { ...settings, cycles: 3 }, 'tokens').grpo.steps).toEqual([30, 4]);
});

it('counts the steps that were taken, not those that were planned', () => {
  expect(withBudgetOf({ ...spent, firstSteps: 20 }, settings, 'tokens').grpo.steps).toEqual([30, 16]);
});

it('changes nothing but steps', () => {
  const { grpo, ...rest } = withBudgetOf(spent, settings, 'tokens');
  expect({ ...rest, grpo: { ...grpo, steps: settings.grpo.steps } }).toEqual(settings);
});

it('of a first round without a step it makes a single step', () => {
  expect(withBudgetOf({ ...spent, firstSteps: 0 }, settings, 'tokens').grpo.steps).toEqual([30, 1]);
});

it('a system has all of it, in rounds of as many tokens', () => {
  // 2,000 + 500 + 50 + 400 + 600, at 200 a step: about 18 steps, four times as many at most.
  const one = withBudgetOf(spent, { ...settings, cycles: 1 }, 'whole');
  expect(one.grpo).toEqual({ ...settings.grpo, tokens: 3550, steps: [72] });
  const two = withBudgetOf(spent, { ...settings, cycles: 2 }, 'whole');
  expect(two.grpo).toEqual({ ...settings.grpo, tokens: 1775, steps: [36] });
});

it('before that, the steps to be expected follow from units of work', () => {
  const plan = { ...settings, cycles: 1, grpo: { ...settings.grpo, steps: [30, 12] } };
  expect(expectedWhole({ first: 300, all: 450 }, plan).grpo.steps).toEqual([45]);
});
