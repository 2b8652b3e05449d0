/**
 * Imperfect demonstrations: what the base policy learns to do before any reinforcement.
 *
 * The agent knows the way (which relation of which entity comes next) and has bad habits: vague queries, needless checks,
 * answers before the last hop, misread passages, guesses. A habit is one decision at one word, so that it can be learned and
 * unlearned, and it clings to some relations: there it is the likelier choice, so that greedy decoding shows it as well.
 */
import { Random, streamKey } from '../base/random.ts';
import type { Passage } from '../retrieval/retriever.ts';
import type { Statement, World } from './generate.ts';
import { NAME_TOKENS } from './names.ts';
import type { RelationName } from './schema.ts';
import type { WorldQuestion } from './suites.ts';
import {
  described,
  type Finding,
  fullQuery,
  MAX_SEARCHES,
  type Move,
  PASSAGES_PER_SEARCH,
  type Search,
  speak,
  type Turn,
  vagueQuery,
} from './turns.ts';

/** A habit's probability at the relations that it clings to, and elsewhere. */
export interface Habit {
  readonly there: number;
  readonly elsewhere: number;
}

/** How often the agent does what a good one would not. */
export interface Habits {
  /** A query without all words of the name. */
  readonly vague: Habit;
  /** What was read is looked up once more. */
  readonly check: Habit;
  /** The answer comes before the last hop. */
  readonly early: Habit;
  /** A wrong value is taken from the passages although the right one is there. */
  readonly misread: number;
  /** When the right article is not there: another entity's is read, rather than searched again. */
  readonly astray: number;
  /** Answer without any search. */
  readonly guess: number;
}

/** Those of the embedded base policy. */
export const usualHabits: Habits = {
  vague: { there: 0.65, elsewhere: 0.12 },
  check: { there: 0.65, elsewhere: 0.15 },
  early: { there: 0.4, elsewhere: 0.05 },
  misread: 0.1,
  astray: 0.4,
  guess: 0.02,
};

/** The relations that habits cling to. */
const THERE: Readonly<Record<'vague' | 'check' | 'early', readonly RelationName[]>> = {
  vague: ['director', 'founder', 'home', 'spouse', 'capital'],
  check: ['director', 'author', 'headquarters', 'coach', 'birthplace', 'nation', 'leader'],
  early: ['star', 'headquarters', 'spouse', 'mayor'],
};

/** After a search that found nothing the next query is vague this often at most, and after a check comes another. */
const VAGUE_AGAIN = 0.35;
const CHECK_AGAIN = 0.2;

/**
 * One demonstration, at most four searches, the last turn answers. `expertShare` is the probability that a decision is the
 * good one whatever the habit (0 to 1, 0 unless given).
 */
export function demonstrate(
  world: World,
  question: WorldQuestion,
  search: Search,
  random: Random,
  options: { readonly expertShare?: number; readonly habits?: Habits } = {},
): Turn[] {
  return play(world, question, search, random, options.expertShare ?? 0, options.habits).map((move) => speak(move));
}

/** The perfect agent: right whenever the full query finds the entity's own article, in as many searches as there are hops. */
export function oracle(world: World, question: WorldQuestion, search: Search): Turn[] {
  return demonstrate(world, question, search, new Random(streamKey('oracle', question.id)), { expertShare: 1 });
}

/** A demonstration's moves, not yet in words. */
export function play(
  world: World,
  question: WorldQuestion,
  search: Search,
  random: Random,
  expertShare: number,
  habits: Habits = usualHabits,
): Move[] {
  const slips = (probability: number) => random.chance(probability) && !random.chance(expertShare);
  const habit = (name: keyof typeof THERE, relation: RelationName) =>
    habits[name][THERE[name].includes(relation) ? 'there' : 'elsewhere'];
  if (slips(habits.guess)) return [{ finding: null, answer: guess(question, random) }];

  const { steps } = question;
  const moves: Move[] = [];
  const values: string[] = [];
  let finding: Finding = null;
  let mode: 'find' | 'check' = 'find';
  let subject = steps[0]!.entity;
  let step = 0;
  while (moves.length < MAX_SEARCHES) {
    const { relation } = steps[step]!;
    const vague: boolean = slips(Math.min(finding === 'not found' ? VAGUE_AGAIN : 1, habit('vague', relation)));
    const query = vague ? vagueQuery(subject, relation) : fullQuery(subject, relation);
    const passages = search(query, PASSAGES_PER_SEARCH);
    moves.push({ finding, lookup: { mode, relation, subject, query }, passages });

    const value = read(world, passages, subject, relation, habits, slips, random);
    if (value === undefined) {
      finding = 'not found';
      mode = 'find';
      continue;
    }
    values[step] = value;
    finding = { relation, value };
    if (slips(Math.min(mode === 'check' ? CHECK_AGAIN : 1, habit('check', relation)))) {
      mode = 'check';
      continue;
    }
    if (step === steps.length - 1 || slips(habit('early', relation))) break;
    step += 1;
    subject = question.kind === 'chain' ? value : steps[step]!.entity;
    mode = 'find';
  }
  moves.push({ finding, answer: conclude(question, values, moves, random) });
  return moves;
}

/** The value that the agent takes from the passages, or undefined when it decides that it is not there. */
function read(
  world: World,
  passages: readonly Passage[],
  subject: string,
  relation: RelationName,
  { misread, astray }: Habits,
  slips: (probability: number) => boolean,
  random: Random,
): string | undefined {
  const shown = described(world, passages);
  const statements = shown.flatMap((entity) => entity.statements);
  const right = shown.find(({ name }) => name === subject)?.statements.find((one) => one.relation === relation);
  if (right) {
    const wrong = statements.filter((one) => one !== right);
    return wrong.length > 0 && slips(misread) ? random.choice(wrong).value : right.value;
  }
  if (statements.length === 0 || !slips(astray)) return undefined;
  const alike = statements.filter((one: Statement) => one.relation === relation);
  return random.choice(alike.length > 0 ? alike : statements).value;
}

function conclude(question: WorldQuestion, values: readonly string[], moves: readonly Move[], random: Random): string {
  if (question.kind === 'comparison') {
    const [first, second] = values;
    return first === undefined || second === undefined ? guess(question, random) : first === second ? 'yes' : 'no';
  }
  // With nothing read at all: a name that was at least on the page.
  const titles = moves.flatMap((move) => ('passages' in move ? move.passages : [])).map(({ title }) => title);
  return values.at(-1) ?? titles.at(-1) ?? guess(question, random);
}

function guess(question: WorldQuestion, random: Random): string {
  return question.kind === 'comparison' ? random.choice(['yes', 'no']) : random.sample(NAME_TOKENS, 2).join(' ');
}
