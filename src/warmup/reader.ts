/**
 * Reading exercises for pretrained models: one search's worth of passages, a question, and nothing but the answer.
 *
 *   documents, gold among them, and question, as single-search RAG asks (baselines/rag.ts)  →  the answer in a passage's words
 *   documents without it                                                                    →  "unknown"
 *
 * Distractors are what the retriever finds for the question, so that telling them apart has to be learned. The prompt is RAG's own, so
 * the trained model can be asked by that baseline: the agent's rival with the same reader.
 */
import type { Question } from '../base/question.ts';
import type { Random } from '../base/random.ts';
import { rag } from '../baselines/rag.ts';
import { documents } from '../baselines/words.ts';
import { encodeFromStart, encodeMarked, foreign } from '../checkpoint/foreign.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { fill } from '../protocol/prompts.ts';
import { defuse } from '../protocol/tags.ts';
import type { Example } from './examples.ts';
import { answerIn, type Library, UNKNOWN } from './real-demonstrations.ts';
import type { Phase } from './recipe.ts';

/** Passages found for a question from which distractors are taken, for each that is shown. */
const CANDIDATES = 3;

/** What is read and said in one exercise. */
export interface ReaderExercise {
  readonly documents: string;
  readonly answer: string;
}

/** The gold passage stands at any place, but where the documents are cut before its answer: then at the first. */
export function readerExercise(
  { passages: count, unknown }: Pick<Extract<Phase, { kind: 'reader' }>, 'passages' | 'unknown'>,
  question: Question,
  library: Library,
  observationTokens: number,
  random: Random,
): ReaderExercise {
  const gold = question.goldIds!.flatMap((id) => library.passage(id) ?? []);
  const source = gold.find(({ text }) => answerIn(question, text) !== undefined)!;
  const others = library
    .search(question.question, CANDIDATES * count)
    .map(({ passage }) => passage)
    .filter(({ id, text }) => !question.goldIds!.includes(id) && answerIn(question, text) === undefined);
  if (!random.chance(unknown)) {
    const distractors = random.sample(others, count - 1);
    for (const passages of [random.shuffle([source, ...distractors]), [source, ...distractors]]) {
      const shown = documents(passages, observationTokens);
      const answer = answerIn(question, shown);
      if (answer !== undefined) return { documents: shown, answer };
    }
  }
  return { documents: documents(random.sample(others, count), observationTokens), answer: UNKNOWN };
}

/** The exercise as ids: the prompt in the model's chat, then the answer and the end of the turn, which alone are learned. */
export function readerExample(tokenizer: Tokenizer, question: string, exercise: ReaderExercise): Example {
  const values = { documents: foreign(exercise.documents), question: foreign(defuse(question)) };
  const prompt = fill(rag.prompts[0]!, values);
  const chat = tokenizer.chat(prompt);
  const before = chat === undefined ? encodeFromStart(tokenizer, prompt) : encodeMarked(tokenizer, chat);
  const said = `${chat === undefined ? ' ' : ''}${exercise.answer}`;
  const ids = [...before, ...tokenizer.encode(said, [[0, said.length]]), ...tokenizer.endTokens.slice(0, 1)];
  return { ids, weights: new Float32Array(ids.length).fill(1, before.length) };
}
