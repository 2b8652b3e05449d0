import { expect, it } from 'vitest';
import { fixtureTrajectory } from '../testing/run-fixture.ts';
import { chooseExamples } from './examples.ts';

const search = { query: 'q', passages: [] };
const trajectory = (id: string, dataset: string, correct: 0 | 1, searches: number) => ({
  ...fixtureTrajectory(id, 0, correct),
  dataset,
  searches: Array.from({ length: searches }, () => search),
});

it('shows what changed between the first and the last stage, a question for each kind of change', () => {
  const first = [
    trajectory('learned a', 'nq', 0, 2),
    trajectory('learned b', 'nq', 0, 2),
    trajectory('learned c', 'deep', 0, 2),
    trajectory('learned d', 'bridge', 0, 2),
    trajectory('shorter', 'nq', 1, 3),
    trajectory('lost', 'nq', 1, 1),
    trajectory('never', 'nq', 0, 1),
    trajectory('always', 'nq', 1, 1),
    trajectory('gone', 'nq', 1, 1),
  ];
  const last = [
    trajectory('learned a', 'nq', 1, 2),
    trajectory('learned b', 'nq', 1, 2),
    trajectory('learned c', 'deep', 1, 2),
    trajectory('learned d', 'bridge', 1, 2),
    trajectory('shorter', 'nq', 1, 1),
    trajectory('lost', 'nq', 0, 1),
    trajectory('never', 'nq', 0, 2),
    trajectory('always', 'nq', 1, 1),
  ];
  const examples = chooseExamples(
    new Map([
      ['base', first],
      ['grpo-1', first],
      ['e1-1', last],
    ]),
  );
  expect(examples.map(({ questionId }) => questionId)).toEqual(['learned a', 'shorter', 'lost']);
  expect(examples[0]).toMatchObject({ change: 'wrong at first, right in the end', suite: 'nq' });
  expect(examples[0]!.byStage.map(({ stage, trajectory: { correct } }) => [stage, correct])).toEqual([
    ['base', 0],
    ['e1-1', 1],
  ]);
});

it('shows nothing when there is nothing', () => {
  expect(chooseExamples(new Map())).toEqual([]);
  expect(chooseExamples(new Map([['base', []]]))).toEqual([]);
});

it('shows a question where nothing changed, or there is but one stage', () => {
  const alone = [trajectory('alone', 'nq', 1, 1)];
  const stagesOf = (stages: readonly string[]) =>
    chooseExamples(new Map(stages.map((stage) => [stage, alone]))).map(({ byStage }) =>
      byStage.map(({ stage }) => stage),
    );
  expect(stagesOf(['base'])).toEqual([['base']]);
  expect(stagesOf(['base', 'grpo-1', 'e1-1'])).toEqual([['base', 'e1-1']]);
});
