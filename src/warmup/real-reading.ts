/**
 * Reading exercises on the user's own text: passages, then quotations to be continued and questions to be answered from them.
 *
 *   Title: text …   Title: text …   "he was born in" continues "Hanover in 1738 and" …   Question: … Answer: …
 *
 * Small policies learn the language itself here as well, so the passages carry a weight of their own.
 */
import type { Question } from '../base/question.ts';
import type { Random } from '../base/random.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { Passage } from '../retrieval/retriever.ts';
import type { Example } from './examples.ts';
import type { Library } from './real-demonstrations.ts';
import type { Phase } from './recipe.ts';

const contextWeight = 0.2;
/** Words of a passage that are read, and of a quotation and its continuation. */
const wordsOfPassage = 60;
const wordsQuoted = 5;

export function readingOnText(
  phase: Extract<Phase, { kind: 'reading' }>,
  questions: readonly Question[],
  library: Library,
  passages: readonly Passage[],
  tokenizer: Tokenizer,
  random: Random,
): Example {
  const question = random.choice(questions);
  const gold = question.goldIds!.map((id) => library.passage(id)).find((passage) => passage !== undefined)!;
  const others = Array.from({ length: phase.articles - 1 }, () => random.choice(passages));
  const shown = random.shuffle([gold, ...others]).map((passage) => ({ ...passage, text: excerpt(passage, question) }));

  const ids: number[] = [...tokenizer.start];
  const weights: number[] = tokenizer.start.map(() => 0);
  const say = (text: string, weight: number) => {
    for (const id of tokenizer.encode(text, [[0, text.length]])) {
      ids.push(id);
      weights.push(weight);
    }
  };
  for (const { title, text } of shown) say(`${title}: ${text}\n`, contextWeight);
  for (let i = 0; i < phase.statements; i++) {
    const words = random.choice(shown).text.split(' ');
    const at = random.below(Math.max(1, words.length - 2 * wordsQuoted));
    say(`"${words.slice(at, at + wordsQuoted).join(' ')}" continues "`, contextWeight);
    say(`${words.slice(at + wordsQuoted, at + 2 * wordsQuoted).join(' ')}"\n`, 1);
  }
  say(`Question: ${question.question}\nAnswer:`, contextWeight);
  say(` ${question.answers.find((answer) => gold.text.includes(answer)) ?? question.answers[0]}\n`, 1);
  return { ids, weights: Float32Array.from(weights) };
}

/** The words of a passage around an answer of the question, or its first ones. */
function excerpt({ text }: Passage, question: Question): string {
  const words = text.split(/\s+/);
  const answer = question.answers.find((candidate) => text.includes(candidate));
  const before = answer === undefined ? 0 : text.slice(0, text.indexOf(answer)).split(/\s+/).length;
  const start = Math.max(0, Math.min(before - wordsOfPassage / 2, words.length - wordsOfPassage));
  return words.slice(start, start + wordsOfPassage).join(' ');
}
