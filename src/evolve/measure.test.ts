import { expect, it } from 'vitest';
import { makeTrajectory } from '../algorithms/trajectory.testing.ts';
import { meanOfSuites, measureSuite, overQuestions } from './measure.ts';

const question = (id: string) => ({ id, dataset: 'nq', question: 'who ?', answers: ['x'] });

it('averages samples of a question first: the error is over questions', () => {
  const trajectories = [
    makeTrajectory({ questionId: 'a', correct: 1 }),
    makeTrajectory({ questionId: 'a', correct: 0 }),
    makeTrajectory({ questionId: 'b', correct: 1 }),
    makeTrajectory({ questionId: 'b', correct: 1 }),
  ];
  // Means .5 and 1: mean .75, sd √.125, error √.125 / √2 = .25.
  expect(overQuestions(trajectories, (t) => t.correct)).toEqual({ mean: 0.75, standardError: 0.25 });
});

it('is null when the question cannot be asked of any trajectory', () => {
  expect(overQuestions([makeTrajectory({ grounded: null })], (t) => (t.grounded === null ? null : 1))).toBeNull();
  expect(overQuestions([], () => 1)).toBeNull();
});

it('measures a suite, failures counted and left out', () => {
  const measured = measureSuite(
    'nq',
    [question('a'), question('b'), question('c')],
    [
      makeTrajectory({ questionId: 'a', correct: 1, answer: 'x', queries: ['1', '2'] }),
      makeTrajectory({
        questionId: 'b',
        correct: 0,
        answer: 'x y',
        queries: [],
        grounded: false,
        wellFormed: false,
        mask: [1, 1, 0, 0],
      }),
      makeTrajectory({ questionId: 'c', correct: 0, answer: null, stop: 'search-failed' }),
    ],
  );
  expect(measured).toMatchObject({ suite: 'nq', questions: 3, samplesPerQuestion: 1, failures: 1 });
  expect(measured.exactMatch?.mean).toBe(0.5);
  // F1 of "x y" against "x": precision ½, recall 1.
  expect(measured.f1?.mean).toBeCloseTo((1 + 2 / 3) / 2, 12);
  expect(measured.searches?.mean).toBe(1);
  expect(measured.policyTokens?.mean).toBe(3);
  expect(measured.wellFormed?.mean).toBe(0.5);
  expect(measured.grounded?.mean).toBe(0.5);
});

it('measures nothing where everything failed, and no spread of one question', () => {
  const failed = measureSuite('nq', [question('a')], [makeTrajectory({ questionId: 'a', stop: 'deadline' })]);
  expect(failed).toMatchObject({ questions: 1, failures: 1, exactMatch: null, f1: null, wellFormed: null });
  const one = measureSuite('nq', [question('a')], [makeTrajectory({ questionId: 'a', reward: 1 })]);
  expect(one.exactMatch).toEqual({ mean: 1, standardError: null });
  expect(meanOfSuites([one, failed]).exactMatch).toEqual({ mean: 1, standardError: null });
});

it('weighs suites equally and combines their errors', () => {
  const suite = (mean: number, standardError: number) => ({
    ...measureSuite('s', [question('a')], [makeTrajectory({ questionId: 'a', grounded: null })]),
    exactMatch: { mean, standardError },
  });
  const mean = meanOfSuites([suite(0.2, 0.03), suite(0.6, 0.04)]);
  expect(mean.exactMatch?.mean).toBeCloseTo(0.4, 12);
  expect(mean.exactMatch?.standardError).toBeCloseTo(0.05 / 2, 12);
  expect(mean.grounded).toBeNull();
});
