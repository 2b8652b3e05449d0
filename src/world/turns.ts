/** What the world's agents say: one turn of policy text, and the passages that the environment answered with. */
import type { Passage } from '../retrieval/retriever.ts';
import type { Entity, World } from './generate.ts';
import type { RelationName } from './schema.ts';

export type Search = (query: string, k: number) => readonly Passage[];

export const PASSAGES_PER_SEARCH = 2;
export const MAX_SEARCHES = 4;

/** What a turn makes of the search before it: nothing yet, no evidence, or a fact. */
export type Finding = null | 'not found' | { readonly relation: RelationName; readonly value: string };

export interface Lookup {
  /** find: something new; check: the fact just found, once more. */
  readonly mode: 'find' | 'check';
  readonly relation: RelationName;
  readonly subject: string;
  readonly query: string;
}

/** One turn of an agent before it is put into words; the last one answers, all others search. */
export type Move =
  | { readonly finding: Finding; readonly lookup: Lookup; readonly passages: readonly Passage[] }
  | { readonly finding: Finding; readonly answer: string };

export interface Turn {
  /** The policy's words, from <think> to </search> or </answer>. */
  readonly policy: string;
  /** Null in the turn that answers. */
  readonly query: string | null;
  /** Empty in the turn that answers. */
  readonly passages: readonly Passage[];
  /** Whether the policy is to learn this turn's words. */
  readonly supervised: boolean;
}

/** Puts a move into words. */
export function speak(move: Move, supervised = true): Turn {
  const said =
    move.finding === null
      ? ''
      : move.finding === 'not found'
        ? 'not found . '
        : `${move.finding.relation} is ${move.finding.value} . `;
  if ('answer' in move) {
    const policy = `<think> ${said}done </think> <answer> ${move.answer} </answer>`;
    return { policy, query: null, passages: [], supervised };
  }
  const { mode, relation, subject, query } = move.lookup;
  const policy = `<think> ${said}${mode} ${relation} of ${subject} </think> <search> ${query} </search>`;
  return { policy, query, passages: move.passages, supervised };
}

/** The query that finds an entity's own article (nearly always). */
export function fullQuery(subject: string, relation: RelationName): string {
  return `${subject} ${relation}`;
}

/** A careless query: the second name token alone, which about ten titles contain. */
export function vagueQuery(subject: string, relation: RelationName): string {
  return `${subject.split(' ')[1]} ${relation}`;
}

/** The entities whose articles the passages are. */
export function described(world: World, passages: readonly Passage[]): Entity[] {
  return passages.map(({ title }) => world.byName.get(title)!);
}
