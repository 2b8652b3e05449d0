import { describe, expect, it } from 'vitest';
import { presets } from './presets.ts';
import { settingsSchema } from './settings.ts';
import { questionsOfStep, sliceQuestions } from './setup.ts';
import { planStages } from './stages.ts';

const questions = Array.from({ length: 150 }, (_, i) => ({
  id: `q${i}`,
  dataset: 'nq',
  question: `${i} ?`,
  answers: ['x'],
}));
const ids = (list: readonly { id: string }[]) => list.map((q) => q.id);

describe('sliceQuestions', () => {
  const slices = sliceQuestions(questions, presets.default);

  it('cuts disjoint slices that cover everything, the same for the same seed', () => {
    const all = [...ids(slices.training), ...ids(slices.heldOut), ...ids(slices.gate)];
    expect(new Set(all).size).toBe(questions.length);
    expect(sliceQuestions(questions, presets.default)).toEqual(slices);
    expect(sliceQuestions(questions, { ...presets.default, seed: 2 })).not.toEqual(slices);
  });

  it('refuses too few questions and says what to change', () => {
    expect(() => sliceQuestions(questions.slice(0, 60), presets.default)).toThrow('60 training questions are too few');
  });
});

describe('questionsOfStep', () => {
  const of = (step: number, perStep = 16, from = questions) => questionsOfStep(from, step, perStep, 1, 'grpo-1');

  it('passes over all questions before any comes again', () => {
    const seen = [...Array(9).keys()].flatMap((step) => ids(of(step)));
    expect(new Set(seen).size).toBe(9 * 16);
  });

  it('is a function of the step alone, with another order in each pass', () => {
    expect(of(7)).toEqual(of(7));
    expect(ids(of(0, 150))).not.toEqual(ids(of(1, 150)));
  });

  it('never repeats a question within a step, at the seam of two passes either', () => {
    for (let step = 0; step < 40; step++) expect(new Set(ids(of(step, 40, questions.slice(0, 50)))).size).toBe(40);
  });
});

it('every preset satisfies the schema', () => {
  for (const settings of Object.values(presets)) expect(settingsSchema.parse(settings)).toEqual(settings);
});

it('each training stage of a plan starts where the one before it ended', () => {
  const plan = planStages({ method: 'search-e1', cycles: 2 });
  expect(plan.map((stage) => stage.name)).toEqual([
    ...['evaluate-base', 'grpo-1', 'evaluate-grpo-1', 'pool-1', 'gate-1', 'e1-1', 'evaluate-e1-1'],
    ...['grpo-2', 'evaluate-grpo-2', 'pool-2', 'gate-2', 'e1-2', 'evaluate-e1-2'],
  ]);
  let last = 'base';
  for (const stage of plan)
    if (stage.kind === 'grpo' || stage.kind === 'distill') {
      expect(stage.from).toBe(last);
      last = stage.name;
    }
  expect(planStages({ method: 'search-e1', cycles: 0 }).map((stage) => stage.name)).toEqual(['evaluate-base']);
});
