/**
 * Chain of thought (Wei et al. 2022, arXiv 2201.11903): the model reasons in words before it answers; no search.
 *
 * Departure: an instruction in place of worked examples, as the table we compare with asks instruction-tuned models.
 */
import { fill } from '../protocol/prompts.ts';
import { defuse } from '../protocol/tags.ts';
import type { Baseline } from './baseline.ts';
import { answerPhrase, concludedAnswer } from './words.ts';

const prompt =
  'Answer the question from your own knowledge. Think step by step, in a few short sentences, and end with a line ' +
  `that reads "${answerPhrase}" followed by the answer alone: a name, a number, a date or a few words.\n\n` +
  'Question: {question}\n';

export const chainOfThought: Baseline = {
  name: 'cot',
  title: 'CoT',
  source: 'Wei et al. 2022, arXiv 2201.11903',
  prompts: [prompt],
  async answer(question, session) {
    return concludedAnswer(await session.ask(fill(prompt, { question: defuse(question) })));
  },
};
