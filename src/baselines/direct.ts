/**
 * Direct: the model answers from what it knows, in one reply, without searching or reasoning.
 *
 * The first row of Search-R1's table (arXiv 2503.09516); the prompt follows its idea in our words.
 */
import { fill } from '../protocol/prompts.ts';
import { defuse } from '../protocol/tags.ts';
import type { Baseline } from './baseline.ts';
import { shortAnswer } from './words.ts';

const prompt =
  'Answer the question from your own knowledge. Write the answer alone: a name, a number, a date or a few words, ' +
  'without a sentence around it.\n\nQuestion: {question}\nAnswer:';

export const direct: Baseline = {
  name: 'direct',
  title: 'Direct',
  source: 'Jin et al. 2025, arXiv 2503.09516 (as a baseline)',
  prompts: [prompt],
  async answer(question, session) {
    return shortAnswer(await session.ask(fill(prompt, { question: defuse(question) })));
  },
};
