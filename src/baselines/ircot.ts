/**
 * IRCoT (Trivedi et al. 2022, arXiv 2212.10509): retrieval and chain of thought take turns.
 *
 *     passages ← search(question)
 *     repeat: sentence ← next sentence of the thought, given question, passages and thoughts so far
 *             stop when it says the answer; else passages ← passages + search(sentence)
 *
 * Departures: an instruction in place of worked examples; sentences are told apart by a rule in place of spaCy; the
 * answer is read from the thought itself, as FlashRAG does, and a second reader is asked only when the thought never comes to an end.
 */
import { fill } from '../protocol/prompts.ts';
import { defuse } from '../protocol/tags.ts';
import type { Passage } from '../retrieval/retriever.ts';
import type { Baseline } from './baseline.ts';
import { afterThinking, answerPhrase, concludedAnswer, documents, shortAnswer } from './words.ts';

const step =
  'Answer a question that may need several facts, one sentence of reasoning at a time, with the help of the documents.\n\n' +
  'Documents:\n{documents}\n\nQuestion: {question}\nReasoning so far: {thoughts}\n\n' +
  'Write the next sentence of the reasoning and nothing else. It should state one further fact. When the reasoning is ' +
  `complete, write "${answerPhrase}" followed by the answer alone.`;

const reader =
  'Answer the question with the help of the documents and of the reasoning. Write the answer alone: a name, a number, a date ' +
  'or a few words.\n\nDocuments:\n{documents}\n\nQuestion: {question}\nReasoning: {thoughts}\nAnswer:';

/** The paper keeps at most 15 paragraphs. */
const MOST_PASSAGES = 15;
/** Tokens in which one sentence has to end. */
const SENTENCE_TOKENS = 100;

/** Where a sentence ends: not behind an initial or a common abbreviation ("J. K. Rowling", "St. Louis", "Dr. No"). */
const sentenceEnd =
  /(?<!\b(?:[A-Z]|Dr|Mrs?|Ms|St|Mt|Jr|Sr|Prof|Rev|Gen|Col|Capt|Lt|Gov|Sen|Rep|Hon|Inc|Ltd|Corp|Co|No|vs)\.)(?<=[.!?]["')\]]?)\s+(?=["'([]?[A-Z0-9])|\n/;

export const ircot: Baseline = {
  name: 'ircot',
  title: 'IRCoT',
  source: 'Trivedi et al. 2022, arXiv 2212.10509',
  prompts: [step, reader],
  async answer(question, session) {
    const found = new Map<string, Passage>();
    const look = async (query: string) => {
      for (const passage of await session.search(query)) if (found.size < MOST_PASSAGES) found.set(passage.id, passage);
    };
    const thoughts: string[] = [];
    const filled = (prompt: string) =>
      fill(prompt, {
        // Every search adds passages to the same prompt: the room of one observation for each.
        documents: documents(
          [...found.values()],
          session.limits.observationTokens * Math.max(1, session.limits.searches),
        ),
        question: defuse(question),
        thoughts: thoughts.join(' ') || '(none yet)',
      });

    if (session.searchesLeft > 0) await look(question);
    for (;;) {
      const reply = await session.ask(filled(step), {
        maxTokens: Math.min(SENTENCE_TOKENS, session.limits.turnTokens),
      });
      const sentence = firstSentence(reply);
      if (sentence === '') break;
      thoughts.push(defuse(sentence));
      const answer = concludedAnswer(sentence);
      if (answer !== null) return answer;
      if (session.searchesLeft < 1) break;
      await look(sentence);
    }
    return shortAnswer(await session.ask(filled(reader)));
  },
};

function firstSentence(reply: string): string {
  return afterThinking(reply).split(sentenceEnd)[0]!.trim();
}
