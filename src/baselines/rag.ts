/**
 * RAG (Lewis et al. 2020, arXiv 2005.11401): one search with the question itself, the passages in the prompt, one reply.
 *
 * Departure: the model is prompted, not trained together with the retriever. With a limit of no searches it is asked
 * with an empty list.
 */
import { fill } from '../protocol/prompts.ts';
import { defuse } from '../protocol/tags.ts';
import type { Baseline } from './baseline.ts';
import { documents, shortAnswer } from './words.ts';

const prompt =
  'Answer the question with the help of the documents. Write the answer alone: a name, a number, a date or a few words, ' +
  'without a sentence around it.\n\nDocuments:\n{documents}\n\nQuestion: {question}\nAnswer:';

export const rag: Baseline = {
  name: 'rag',
  title: 'RAG',
  source: 'Lewis et al. 2020, arXiv 2005.11401',
  prompts: [prompt],
  async answer(question, session) {
    const passages = session.searchesLeft > 0 ? await session.search(question) : [];
    const shown = documents(passages, session.limits.observationTokens);
    return shortAnswer(await session.ask(fill(prompt, { documents: shown, question: defuse(question) })));
  },
};
