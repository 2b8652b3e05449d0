import { expect, it } from 'vitest';
import { trainingCurves } from './curves.ts';

const chartTitles = (html: string) => [...html.matchAll(/<title>([^<]*)<\/title>/g)].map(([, title]) => title);
const step = (n: number, part: Record<string, number>) => ({ stage: 'grpo-1', step: n, searches: 2, ...part });

it('shows a reward beside exact match only where it is another number', () => {
  const same = trainingCurves([step(1, { reward: 0.5, exactMatch: 0.5 }), step(2, { reward: 0.75, exactMatch: 0.75 })]);
  expect(same.text).toContain('Exact match of training rollouts');
  expect(same.text).not.toContain('Reward of training rollouts');

  const shaped = trainingCurves([
    step(1, { reward: -0.3, exactMatch: 0.5 }),
    step(2, { reward: 0.9, exactMatch: 0.75 }),
  ]);
  expect(shaped.text).toContain('Reward of training rollouts');
  expect(chartTitles(shaped.text)).toEqual(expect.arrayContaining([expect.stringContaining('step 1: -0.3')]));
});

it('takes the reward of a run of 0.4 for exact match, beside the held-out questions', () => {
  const held = { stage: 'grpo-1-held-out', step: 0, exactMatch: 0.25 };
  const { text } = trainingCurves([step(1, { reward: 0.5 }), held, step(2, { reward: 0.75 })]);
  expect(text).toContain('Exact match of training rollouts');
  expect(text).not.toContain('Reward');
  expect(text).toContain('held-out questions');
});
