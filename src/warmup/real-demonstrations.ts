/**
 * Demonstrations on the user's own text: questions with known evidence (goldIds), searched over the real index.
 *
 * The agent writes queries of different quality (the question as it stands, its telling words, too few of them, those with
 * the title of the evidence when the question names it), reads, and answers as soon as a gold answer stands in what it was
 * shown; or searches again, in other words. Nothing is claimed that was not shown: a final answer without evidence is "unknown", or
 * is there to end the trajectory and is not learned.
 */
import type { Question } from '../base/question.ts';
import type { Random } from '../base/random.ts';
import type { Hit, Passage } from '../retrieval/retriever.ts';
import type { DemonstratedTurn } from './trajectory-example.ts';

export interface Library {
  readonly passage: (id: string) => Passage | undefined;
  /** The passages of one search, best first; so many, or as many as a search of the agent's finds. */
  readonly search: (query: string, count?: number) => readonly Hit[];
  /** The text of these passages as far as one observation shows it. */
  readonly shown: (passages: readonly Passage[]) => string;
  /** Searches in one trajectory. */
  readonly searches: number;
}

export interface ExpertAndImitation {
  /** What the expert says in all its turns, without the passages. */
  readonly expert: string;
  readonly turns: readonly DemonstratedTurn[];
}

type QueryStyle = 'question' | 'keywords' | 'title' | 'vague';
type Styles = readonly (readonly [QueryStyle, number])[];

/** How an agent is shown to work. */
export interface Manner {
  readonly firstQueries: Styles;
  readonly laterQueries: Styles;
  /** Share of turns in which it searches again although the answer is there. */
  readonly needlessSearch: number;
  /** What it answers when it was shown no answer; null ends the trajectory with the true one, which is not learned. */
  readonly unknown: string | null;
}

/** Of different quality, so that there is something to choose from: a policy from nothing learns all it knows of searching here. */
export const variedManner: Manner = {
  firstQueries: [
    ['question', 0.3],
    ['keywords', 0.25],
    ['title', 0.25],
    ['vague', 0.2],
  ],
  laterQueries: [
    ['question', 0.4],
    ['keywords', 0.3],
    ['title', 0.3],
  ],
  needlessSearch: 0.15,
  unknown: null,
};

/** What an answer says where nothing shown has it. */
export const UNKNOWN = 'unknown';

/** What it thinks before it searches again because nothing shown has the answer. */
export const MISSED = 'That does not answer it.';

/** For pretrained models, which follow what they are shown: the whole question, and nothing that would have to be unlearned. */
export const plainManner: Manner = {
  firstQueries: [
    ['question', 0.8],
    ['keywords', 0.1],
    ['title', 0.1],
  ],
  laterQueries: [
    ['question', 0.2],
    ['keywords', 0.4],
    ['title', 0.4],
  ],
  needlessSearch: 0.03,
  unknown: UNKNOWN,
};

/** In an imitation: a vague search of its own before the expert's next one. */
const stray = 0.25;
/** Longer answers are sentences, which exact match does not reward. */
const maxAnswerWords = 6;

/** Whether a demonstration can be made: known evidence, and a short answer that stands in it word for word. */
export function isDemonstrable(question: Question, library: Library): boolean {
  const evidence = question.goldIds?.map((id) => library.passage(id)?.text ?? '') ?? [];
  return evidence.some((text) => answerIn(question, text) !== undefined);
}

/** One demonstration; imperfect, and different for every random stream. */
export function demonstrateOnText(
  question: Question,
  library: Library,
  random: Random,
  manner: Manner = variedManner,
): DemonstratedTurn[] {
  const turns: DemonstratedTurn[] = [];
  const asked = new Set<string>();
  let seen = '';
  let thought = 'I have to look this up.';
  while (turns.length < library.searches) {
    const styles = turns.length === 0 ? manner.firstQueries : manner.laterQueries;
    let query = writeQuery(random.weighted(styles), question, library, random);
    // Other words than before; a question of few words may leave none.
    for (let attempt = 0; asked.has(query) && attempt < 5; attempt++)
      query = writeQuery(random.weighted(styles), question, library, random);
    asked.add(query);
    const passages = library.search(query).map((hit) => hit.passage);
    turns.push({ policy: searchTurn(thought, query), passages, supervised: true });
    seen += `\n${library.shown(passages)}`;
    const isFound = answerIn(question, seen) !== undefined;
    if (isFound && !random.chance(manner.needlessSearch)) break;
    thought = isFound ? 'I should make sure.' : MISSED;
  }
  turns.push(answerTurn(question, turns, seen, library, manner));
  return turns;
}

/** An expert trajectory (any demonstration) and an agent that follows it, with a detour now and then that is not learned. */
export function imitateOnText(
  question: Question,
  library: Library,
  random: Random,
  manner: Manner = variedManner,
): ExpertAndImitation {
  const expert = demonstrateOnText(question, library, random, manner);
  const turns: DemonstratedTurn[] = [];
  let seen = '';
  for (const turn of expert.slice(0, -1)) {
    if (random.chance(stray)) {
      const query = writeQuery('vague', question, library, random);
      const passages = library.search(query).map((hit) => hit.passage);
      turns.push({ policy: searchTurn('I have to look this up.', query), passages, supervised: false });
      seen += `\n${library.shown(passages)}`;
    }
    turns.push(turn);
    seen += `\n${library.shown(turn.passages)}`;
  }
  turns.push(answerTurn(question, turns, seen, library, manner));
  return { expert: expert.map(({ policy }) => policy).join('\n'), turns };
}

function searchTurn(thought: string, query: string): string {
  return `<think> ${thought} </think>\n<search> ${query} </search>`;
}

/** The last turn: the answer in the words of what was read, and where it stood; or that it was not read anywhere. */
function answerTurn(
  question: Question,
  turns: readonly DemonstratedTurn[],
  seen: string,
  library: Library,
  { unknown }: Manner,
): DemonstratedTurn {
  const answer = answerIn(question, seen);
  const say = (thought: string, words: string) => `<think> ${thought} </think>\n<answer> ${words} </answer>`;
  if (answer === undefined)
    return unknown === null
      ? { policy: say('I have to guess.', question.answers[0]!.trim()), passages: [], supervised: false }
      : { policy: say('No passage says it.', unknown), passages: [], supervised: true };
  // Of several passages with these words, the one that is known to be about the question; as it was shown, not as it lies in the corpus.
  const sources = turns.flatMap(({ passages }) => passages).filter(({ text }) => occursAsWords(answer, text));
  const shown = sources.filter((passage) => occursAsWords(answer, library.shown([passage])));
  const source = shown.find(({ id }) => question.goldIds?.includes(id)) ?? shown[0] ?? sources[0];
  const thought = source ? `The passage on ${source.title} says it.` : 'A passage says it.';
  return { policy: say(thought, answer), passages: [], supervised: true };
}

/** The first short gold answer that occurs in a text, as whole words. */
export function answerIn(question: Question, text: string): string | undefined {
  return question.answers
    .map((answer) => answer.trim())
    .find((answer) => answer.split(/\s+/).length <= maxAnswerWords && occursAsWords(answer, text));
}

function occursAsWords(words: string, text: string): boolean {
  const isLetter = (character: string | undefined) => character !== undefined && /[\p{L}\p{N}]/u.test(character);
  for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + 1))
    if (!isLetter(text[at - 1]) && !isLetter(text[at + words.length])) return true;
  return false;
}

function writeQuery(style: QueryStyle, question: Question, library: Library, random: Random): string {
  const telling = question.question
    .split(/\s+/)
    .filter((word) => !commonWords.has(word.toLowerCase().replace(/[^a-z]/g, '')));
  const whole = question.question.replace(/[?\s]+$/, '');
  if (telling.length === 0 || style === 'question') return whole;
  const clean = telling.map((word) => word.replace(/[?.,]+$/, '')).filter((word) => word !== '');
  if (style === 'vague') return random.choice(clean);
  // A title is only known to somebody who has read it: it counts when the question names at least one word of it.
  const title = question.goldIds
    ?.map((id) => library.passage(id)?.title)
    .find((name) => name && sharesWord(name, clean));
  if (style === 'title' && title) {
    const rest = clean.filter((word) => !sharesWord(title, [word]));
    return [title.replace(/ \(.*\)$/, ''), ...random.sample(rest, 1)].join(' ');
  }
  return clean.join(' ');
}

function sharesWord(title: string, words: readonly string[]): boolean {
  const ofTitle = new Set(title.toLowerCase().split(/[^\p{L}\p{N}]+/u));
  return words.some((word) => ofTitle.has(word.toLowerCase()));
}

/** Words of questions that say nothing about what to look for. */
const commonWords = new Set(
  `a an the of in on at to for from by with and or as is are was were be been do does did has have had who whom whose what which
  when where why how many much that this it its there their his her he she they you your s can could will would`.split(
    /\s+/,
  ),
);
