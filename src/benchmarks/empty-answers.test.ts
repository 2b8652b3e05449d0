import { expect, it } from 'vitest';
import { emptyAnswersNote, isEmptyAnswer, trainableQuestions } from './empty-answers.ts';
import { exactMatch } from './exact-match.ts';

const question = (id: string, ...answers: string[]) => ({ id, dataset: 'x', question: 'which?', answers });

it('empty answers are those that the script takes for the empty text', () => {
  for (const answer of ['A', 'The The', '?', '!', 'an a', ' '])
    expect(isEmptyAnswer(answer)).toBe(exactMatch('', [answer]) === 1);
  for (const answer of ['Ann', '0', 'the end', 'é', '一']) expect(isEmptyAnswer(answer)).toBe(false);
});

it('no answer of nothing can be rewarded in training', () => {
  const questions = [question('1', 'A'), question('2', 'The', 'Who'), question('3', 'Lisbon')];
  const trained = trainableQuestions(questions);
  expect(trained).toEqual([question('2', 'Who'), question('3', 'Lisbon')]);
  for (const nothing of ['the', '', 'A!', '...'])
    for (const { answers } of trained) expect(exactMatch(nothing, answers)).toBe(0);
  expect(trained[1]).toBe(questions[2]);
});

it('they are counted, with an example', () => {
  expect(emptyAnswersNote('nq', [question('1', 'x'), question('2', 'y', '?'), question('3', 'A')])).toMatch(
    /^nq: 2 of 3 questions .*"\?"/,
  );
  expect(emptyAnswersNote('nq', [question('1', 'x')])).toBeUndefined();
});
