import { expect, it } from 'vitest';
import { searchR1Template } from '../protocol/templates.ts';
import { promptLengths } from './room.ts';
import { question, tokenizer } from './testing/environment.ts';

it('tells the questions that can be asked from those whose prompts leave no room for a turn', () => {
  const questions = ['short', 'x'.repeat(300), 'brief'].map((text, i) => question(`q${i}`, text));
  // Of the tokenizer's tokens none is longer than the template's: the lengths are counted here by encoding the whole text.
  const counted = questions.map(
    ({ question: text }) => tokenizer.encode(searchR1Template.student.replace('{question}', text)).length,
  );
  const shortest = tokenizer.encode('<answer> x </answer>').length;
  const context = counted[0]! + shortest;
  expect(promptLengths(questions, tokenizer, searchR1Template, context)).toEqual({
    askable: [questions[0], questions[2]],
    tooLong: [{ question: questions[1], promptTokens: counted[1] }],
  });
  expect(promptLengths(questions, tokenizer, searchR1Template, context - 1).askable).toEqual([]);
});
