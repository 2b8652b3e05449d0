/**
 * Examples for the privileged prompt: a question with an expert trajectory beside it, and an agent that follows it.
 *
 * They give a tiny policy what a pretrained one brings along: to use what stands in its prompt. The expert is any
 * demonstration, good or bad, so the prompt itself says nothing about quality and only the expert's content can help.
 * In a third of the steps the agent strays (not learned); learned is the way back, as the passages allow it. A turn is never
 * learned when it states a value, or gives an answer, that no passage shown so far contains: that would train a teacher
 * that gives answers away instead of one that looks them up.
 */
import type { Random } from '../base/random.ts';
import type { Passage } from '../retrieval/retriever.ts';
import { type Habits, play } from './demonstrations.ts';
import type { World } from './generate.ts';
import type { WorldQuestion } from './suites.ts';
import {
  described,
  fullQuery,
  type Lookup,
  MAX_SEARCHES,
  type Move,
  PASSAGES_PER_SEARCH,
  type Search,
  speak,
  type Turn,
  vagueQuery,
} from './turns.ts';

const STRAY = 0.35;

export interface Imitation {
  /** What the expert says in all its turns, without the passages. */
  readonly expert: string;
  readonly turns: Turn[];
}

type SearchMove = Extract<Move, { lookup: Lookup }>;

/** @param habits of the agent whose demonstrations are shown; the usual ones unless given */
export function imitate(
  world: World,
  question: WorldQuestion,
  search: Search,
  random: Random,
  habits?: Habits,
): Imitation {
  const expert = drawExpert(world, question, search, random, habits);
  const turns: Turn[] = [];
  const shown: Passage[] = [];
  const look = (finding: Move['finding'], lookup: Lookup, learned: boolean): readonly Passage[] => {
    const move = { finding, lookup, passages: search(lookup.query, PASSAGES_PER_SEARCH) };
    turns.push(speak(move, learned && isGrounded(move, question, shown)));
    shown.push(...move.passages);
    return move.passages;
  };

  let next = 0;
  while (turns.length < MAX_SEARCHES) {
    const move = expert[next]!;
    if ('answer' in move) break;
    const { finding, lookup } = move;
    const vague = { ...lookup, query: vagueQuery(lookup.subject, lookup.relation) };
    const misreadings = readable(world, shown).filter((value) => isFact(finding) && value !== finding.value);
    const movesOn = isFact(finding) && lookup.subject === finding.value;
    const strays = [
      ['vague', lookup.query === vague.query ? 0 : 2],
      ['check', isFact(finding) ? 1 : 0],
      ['misread', movesOn && misreadings.length > 0 ? 1 : 0],
      ['none', 0],
    ] as const;
    const mayStray = turns.length < MAX_SEARCHES - 1 && random.chance(STRAY);
    const stray = mayStray ? random.weighted(strays) : 'none';

    if (stray === 'vague') {
      // Unless the vague query happens to find the article, the way back is the expert's full one.
      const passages = look(finding, vague, false);
      if (!passages.some(({ title }) => title === lookup.subject)) look('not found', { ...lookup, mode: 'find' }, true);
      next += 1;
    } else if (stray === 'check') {
      // The fact just found is looked up once more; then comes the expert's own step.
      const { relation, subject } = (expert[next - 1] as SearchMove).lookup;
      look(finding, { mode: 'check', relation, subject, query: fullQuery(subject, relation) }, false);
    } else if (stray === 'misread' && isFact(finding)) {
      // Another value is looked up in place of the expert's; then comes the expert's own step.
      const value = random.choice(misreadings);
      const query = fullQuery(value, lookup.relation);
      look({ relation: finding.relation, value }, { ...lookup, subject: value, query }, false);
    } else {
      look(finding, lookup, true);
      next += 1;
    }
  }
  // When straying has used up the searches, the expert's answer comes early: then only a fact that was read justifies it.
  const answer = expert.at(-1)!;
  const justified = next === expert.length - 1 || isFact(answer.finding);
  turns.push(speak(answer, justified && isGrounded(answer, question, shown)));
  return { expert: expert.map((move) => speak(move).policy).join(' '), turns };
}

/** A demonstration with at least one search: a guess has nothing to imitate but its answer. */
function drawExpert(
  world: World,
  question: WorldQuestion,
  search: Search,
  random: Random,
  habits: Habits | undefined,
): Move[] {
  for (;;) {
    const moves = play(world, question, search, random, 0, habits);
    if (moves.length > 1) return moves;
  }
}

/** All values that the passages state. */
function readable(world: World, passages: readonly Passage[]): string[] {
  return described(world, passages).flatMap(({ statements }) => statements.map(({ value }) => value));
}

function isFact(finding: Move['finding']): finding is Exclude<Move['finding'], null | 'not found'> {
  return finding !== null && finding !== 'not found';
}

/** Whether the passages shown so far contain what the move states, and the evidence for its answer. */
function isGrounded(move: Move, question: WorldQuestion, shown: readonly Passage[]): boolean {
  const occurs = (name: string) => shown.some(({ text }) => ` ${text} `.includes(` ${name} `));
  if (isFact(move.finding) && !occurs(move.finding.value)) return false;
  if (!('answer' in move)) return true;
  if (question.kind === 'chain') return occurs(move.answer);
  return question.steps.every(({ entity }) => shown.some(({ title }) => title === entity));
}
