/** What stands beside an evaluation's scores: wrong answers to look at, and notes on a served model's replies. */
import { expect, it } from 'vitest';
import { wrongAnswers } from './examples.ts';
import { notesOf, notesOfAll } from './reply-notes.ts';
import { answersOf, makeAnswer, makeSuites } from './testing/fixtures.ts';

it('wrong answers come from every suite before a second from any, failures and right ones never', () => {
  const suites = makeSuites({ nq: 4, hotpotqa: 2 });
  const [nq, hotpot] = suites.map(({ questions }) => questions);
  const answers = answersOf([
    makeAnswer(nq![0]!),
    makeAnswer(nq![1]!, { answer: null, stop: 'sample-failed' }),
    makeAnswer(nq![2]!, { answer: 'tin' }),
    makeAnswer(nq![3]!, { answer: 'lead' }),
    makeAnswer(hotpot![0]!, { answer: null, stop: 'context-full' }),
    makeAnswer(hotpot![1]!, { answer: 'zinc' }),
  ]);
  const shown = wrongAnswers('agent', suites, answers);
  expect(shown.map(({ suite, prediction }) => [suite, prediction])).toEqual([
    ['nq', 'tin'],
    ['hotpotqa', null],
    ['nq', 'lead'],
  ]);
  expect(shown[0]).toMatchObject({ question: nq![2]!.question, gold: ['gold'] });
  expect(wrongAnswers('direct', suites, answers)).toEqual([]);
});

it('notes count replies of thinking alone, and name what a server refuses once', () => {
  expect(notesOf()).toEqual([]);
  expect(notesOf(1)[0]).toMatch(/^1 reply held/);
  const [question] = makeSuites({ nq: 1 })[0]!.questions;
  const answer = { ...[...answersOf([makeAnswer(question!)]).values()][0]! };
  const notes = notesOfAll([
    { ...answer, reasoningOnly: 2, leftOut: ['seed'] },
    { ...answer, reasoningOnly: 1, leftOut: ['seed', 'max_tokens'] },
    answer,
  ]);
  expect(notes[0]).toMatch(/^3 replies held/);
  expect(notes[1]).toBe('The server refuses max_tokens, seed, and was asked without.');
});
