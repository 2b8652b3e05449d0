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

/** Relations that each habit clings to, its probability there and elsewhere. */
const VAGUE = habit(['director', 'founder', 'home', 'spouse', 'capital'], 0.65, 0.12);
const CHECK = habit(['director', 'author', 'headquarters', 'coach', 'birthplace', 'nation', 'leader'], 0.65, 0.15);
const EARLY = habit(['star', 'headquarters', 'spouse', 'mayor'], 0.4, 0.05);
/** After a search that found nothing the next query is vague this often, and after a check comes another. */
const VAGUE_AGAIN = 0.35;
const CHECK_AGAIN = 0.2;
/** A wrong value is taken from the passages although the right one is there. */
const MISREAD = 0.1;
/** When the right article is not there: search again, rather than read another entity's. */
const RETRY = 0.6;
/** Answer without any search. */
const GUESS = 0.02;

function habit(
  relations: readonly RelationName[],
  there: number,
  elsewhere: number,
): (relation: RelationName) => number {
  return (relation) => (relations.includes(relation) ? there : elsewhere);
}

/**
 * One demonstration, at most four searches, the last turn answers. `expertShare` is the probability that a decision is the
 * good one whatever the habit (0 to 1, 0 unless given).
 */
export function demonstrate(
  world: World,
  question: WorldQuestion,
  search: Search,
  random: Random,
  options: { readonly expertShare?: number } = {},
): Turn[] {
  return play(world, question, search, random, options.expertShare ?? 0).map((move) => speak(move));
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
): Move[] {
  const slips = (probability: number) => random.chance(probability) && !random.chance(expertShare);
  if (slips(GUESS)) return [{ finding: null, answer: guess(question, random) }];

  const { steps } = question;
  const moves: Move[] = [];
  const values: string[] = [];
  let finding: Finding = null;
  let mode: 'find' | 'check' = 'find';
  let subject = steps[0]!.entity;
  let step = 0;
  while (moves.length < MAX_SEARCHES) {
    const { relation } = steps[step]!;
    const vague: boolean = slips(finding === 'not found' ? Math.min(VAGUE_AGAIN, VAGUE(relation)) : VAGUE(relation));
    const query = vague ? vagueQuery(subject, relation) : fullQuery(subject, relation);
    const passages = search(query, PASSAGES_PER_SEARCH);
    moves.push({ finding, lookup: { mode, relation, subject, query }, passages });

    const value = read(world, passages, subject, relation, slips, random);
    if (value === undefined) {
      finding = 'not found';
      mode = 'find';
      continue;
    }
    values[step] = value;
    finding = { relation, value };
    if (slips(mode === 'check' ? Math.min(CHECK_AGAIN, CHECK(relation)) : CHECK(relation))) {
      mode = 'check';
      continue;
    }
    if (step === steps.length - 1 || slips(EARLY(relation))) break;
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
  slips: (probability: number) => boolean,
  random: Random,
): string | undefined {
  const shown = described(world, passages);
  const statements = shown.flatMap((entity) => entity.statements);
  const right = shown.find(({ name }) => name === subject)?.statements.find((one) => one.relation === relation);
  if (right) {
    const wrong = statements.filter((one) => one !== right);
    return wrong.length > 0 && slips(MISREAD) ? random.choice(wrong).value : right.value;
  }
  if (statements.length === 0 || !slips(1 - RETRY)) return undefined;
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
