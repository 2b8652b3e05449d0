import { describe, expect, it } from 'vitest';
import { searchR1Template, worldTemplate } from '../protocol/templates.ts';
import { keepAskable, promptLengths } from './room.ts';
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

describe('questions that are to be asked', () => {
  const questions = ['short', 'x'.repeat(600), 'brief'].map((text, i) => question(`q${i}`, text));
  const limits = { searches: 2, responseTokens: 100, observationTokens: 50, contextTokens: 0 };
  const within = (contextTokens: number, contextLength = 100_000) => ({
    tokenizer,
    template: worldTemplate,
    limits: { ...limits, contextTokens },
    contextLength,
  });
  const raise = (tokens: number) => `--tokens ${tokens}`;
  const long = tokenizer.encode(`<q> ${questions[1]!.question} </q>`).length;

  it('are those that can be, with a note about the others', () => {
    expect(keepAskable(questions, within(1000), 'questions of q', raise)).toEqual({
      askable: questions,
      note: undefined,
    });
    expect(keepAskable(questions, within(300), 'questions of q', raise)).toEqual({
      askable: [questions[0], questions[2]],
      note: `1 of 3 questions of q leave no room for a turn in a context of 300 tokens (the prompt of q1 has ${long}); they are left out`,
    });
  });

  it('are refused when most cannot be, with a context that would do', () => {
    const refused = (context: number, length?: number) => {
      try {
        return keepAskable([questions[1]!], within(context, length), 'questions', raise);
      } catch (error) {
        return error;
      }
    };
    expect(refused(300)).toMatchObject({
      message: `1 of 1 questions leave no room for a turn in a context of 300 tokens (the prompt of q1 has ${long})`,
      hint: 'Allow a longer context: --tokens 1024',
    });
    expect(keepAskable([questions[1]!], within(1024), 'questions', raise).note).toBeUndefined();
    // The model's own context is what is short: no option helps.
    expect(refused(5000, 300)).toMatchObject({ hint: expect.stringContaining("model's own context has 300 tokens") });
  });
});
