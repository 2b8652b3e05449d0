/**
 * Search-o1 (Li et al. 2025, arXiv 2501.05366): an untrained model searches while it reasons, and what is found is not put
 * before it as it stands: a second call reads the documents in the light of the reasoning so far and hands on what matters.
 *
 * Departures: our tags in place of the paper's special tokens and \boxed{}; conversation turns in place of one continued
 * text, since chat servers do not continue a text; the same k and number of searches as every other baseline.
 */
import type { ChatMessage } from '../policy/text-model.ts';
import { parseTurn } from '../protocol/parser.ts';
import { fill } from '../protocol/prompts.ts';
import { defuse, turnEnds } from '../protocol/tags.ts';
import type { Baseline } from './baseline.ts';
import { AttemptEnded } from './session.ts';
import { afterThinking, documents } from './words.ts';

const instruction =
  'Reason step by step about the question. Whenever you are unsure of a fact, search for it by writing ' +
  '<search> your query </search> and stop; what is known about it will be given to you between <information> and ' +
  '</information>. You may do so up to {searches} times. When you are sure, write the answer alone between <answer> and ' +
  '</answer>: a name, a number, a date or a few words.\n\nQuestion: {question}\n';

const reasonInDocuments =
  'Somebody reasons about a question and has searched for a fact. Read the documents and write down, in a few sentences, ' +
  'only what they say that helps the reasoning on. Do not answer the question yourself. If nothing helps, write ' +
  '"No helpful information was found."\n\nReasoning so far:\n{reasoning}\n\nSearch: {query}\n\nDocuments:\n{documents}\n';

const information = '<information>{found}</information>\nGo on with the reasoning.';
const noSearchesLeft =
  '<information>There are no searches left.</information>\nWrite the answer between <answer> and </answer> now.';
const invalid =
  'That was neither a search nor an answer. Write <search> a query </search> or <answer> the answer </answer>.';

export const searchO1: Baseline = {
  name: 'search-o1',
  title: 'Search-o1',
  source: 'Li et al. 2025, arXiv 2501.05366',
  prompts: [instruction, reasonInDocuments, information, noSearchesLeft, invalid],
  async answer(question, session) {
    const { limits } = session;
    const first = fill(instruction, { question: defuse(question), searches: String(limits.searches) });
    const talk: ChatMessage[] = [{ role: 'user', content: first }];
    let invalidTurns = 0;
    for (;;) {
      const reply = await session.ask(talk, { stop: turnEnds });
      talk.push({ role: 'assistant', content: reply });
      const action = parseTurn(reply);
      if (action.kind === 'answer') return action.answer;
      if (action.kind === 'invalid') {
        invalidTurns += 1;
        if (invalidTurns > limits.invalidTurns)
          throw new AttemptEnded('no-answer', `${invalidTurns} turns with neither a search nor an answer`);
        talk.push({ role: 'user', content: invalid });
      } else if (session.searchesLeft < 1) {
        // It was told so once; asking again would not end.
        if (talk.some(({ content }) => content === noSearchesLeft))
          throw new AttemptEnded('no-answer', 'a search in place of the answer, with no searches left');
        talk.push({ role: 'user', content: noSearchesLeft });
      } else {
        const passages = await session.search(action.query);
        const reasoning = talk.filter(({ role }) => role === 'assistant').map(({ content }) => defuse(content));
        const read = await session.ask(
          fill(reasonInDocuments, {
            reasoning: reasoning.join('\n'),
            query: defuse(action.query),
            documents: documents(passages, limits.observationTokens),
          }),
        );
        const found = defuse(afterThinking(read)) || 'No helpful information was found.';
        talk.push({ role: 'user', content: fill(information, { found }) });
      }
    }
  },
};
