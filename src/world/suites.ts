/**
 * Questions about a world: seven suites that mirror the paper's seven benchmarks in kind, and the training mix.
 *
 *   nq        one hop                                           what is book fakir gozun 's author ?
 *   triviaqa  one hop, the relation paraphrased                 name the writer of book fakir gozun .
 *   popqa     one hop, entities hardly or confusably named      what is the author of fakir gozun ?
 *   hotpotqa  two hops; 15 % comparisons of two entities        what is book fakir gozun 's author 's spouse ?
 *   2wiki     two hops, pairs of relations absent in training   what is the spouse of the author of book fakir gozun ?
 *   musique   two to four hops                                  what is book fakir gozun 's author 's spouse 's employer ?
 *   bamboogle three or four hops from a name with a twin        name book fakir gozun 's author 's spouse 's employer .
 *
 * A chain never meets the same entity twice, so a perfect agent needs as many searches as there are hops.
 */
import type { Question } from '../base/question.ts';
import { Random, streamKey } from '../base/random.ts';
import { factOf, type Half, type World } from './generate.ts';
import {
  type EntityType,
  isHeldOutPair,
  isTrainingChain,
  type Relation,
  type RelationName,
  relationChains,
  relationOf,
} from './schema.ts';

export const SUITES = ['nq', 'triviaqa', 'popqa', 'hotpotqa', '2wiki', 'musique', 'bamboogle'] as const;
export type Suite = (typeof SUITES)[number];

/** '3-hop' is a part of the training mix only: chains of three in the words of 'hotpotqa'. */
export type Kind = Suite | '3-hop';

/** Look up `relation` of `entity`. */
export interface Step {
  /** A name. */
  readonly entity: string;
  readonly relation: RelationName;
}

/** A question with what a perfect agent looks up, in order. Plain data. */
export interface WorldQuestion extends Question {
  readonly dataset: Kind;
  /** chain: each step's entity is the value of the step before; comparison: two steps, are their values the same? */
  readonly kind: 'chain' | 'comparison';
  readonly steps: readonly Step[];
  readonly hops: number;
}

const COMPARISON_SHARE = 0.15;

/**
 * Distinct questions of a suite about the evaluation half: `atMost` of them, or all that 1,000 draws in a row find (of a world of
 * the usual size some 300 of popqa's kind, more of the others); a smaller number gives the first of them.
 */
export function evaluationQuestions(world: World, suite: Suite, atMost: number): WorldQuestion[] {
  return distinct(
    world,
    'evaluation',
    new Random(streamKey('world', world.seed, 'evaluation', suite)),
    atMost,
    () => suite,
  );
}

/** Hops of a training question. */
export type TrainingHops = 1 | 2 | 3;

const TRAINING_KIND = { 1: 'nq', 2: 'hotpotqa', 3: '3-hop' } as const satisfies Record<TrainingHops, Kind>;

/**
 * `count` distinct questions about the training half, as many of each number of hops, in random order within every
 * `hops.length`; a smaller count gives the first of them. Of a world of the usual size about 770 of one hop exist, 1,390 of two
 * and 1,760 of three.
 * @throws RangeError when the world has too few
 */
export function trainingQuestions(
  world: World,
  count: number,
  hops: readonly TrainingHops[] = [1, 2, 3],
): WorldQuestion[] {
  const random = new Random(streamKey('world', world.seed, 'training'));
  const mix: readonly Kind[] = hops.map((length) => TRAINING_KIND[length]);
  let kinds: Kind[] = [];
  const questions = distinct(world, 'training', random, count, (index) => {
    if (index % mix.length === 0) kinds = random.shuffle(mix);
    return kinds[index % mix.length]!;
  });
  if (questions.length < count)
    throw new RangeError(
      `world ${world.seed} has about ${questions.length} distinct training questions, ${count} were asked for`,
    );
  return questions;
}

const WARMUP_MIX: readonly (readonly [Kind, number])[] = [
  ['nq', 0.19],
  ['triviaqa', 0.12],
  ['popqa', 0.12],
  ['hotpotqa', 0.24],
  ['2wiki', 0.12],
  ['musique', 0.15],
  ['bamboogle', 0.06],
];

/**
 * A question of any suite about either half, for demonstrations in worlds that are used for nothing else: the base policy
 * has heard every kind of question, and has seen no article of the world it is trained or evaluated on.
 */
export function warmupQuestion(world: World, random: Random): WorldQuestion {
  const half = random.choice<Half>(['training', 'evaluation']);
  const kind = random.weighted(WARMUP_MIX);
  return drawerOf(kind, random)(world, half, kind, random);
}

/** Draws until there are `atMost` questions with distinct ids, or 1,000 draws in a row have found no new one. */
function distinct(
  world: World,
  half: Half,
  random: Random,
  atMost: number,
  kindOf: (index: number) => Kind,
): WorldQuestion[] {
  const found = new Map<string, WorldQuestion>();
  while (found.size < atMost) {
    const index = found.size;
    const kind = kindOf(index);
    // Chosen once for each question: draws that repeat an earlier question must not favour the larger space of comparisons.
    const draw = drawerOf(kind, random);
    for (let attempt = 0; found.size === index; attempt++) {
      if (attempt === 1000) return [...found.values()];
      const question = draw(world, half, kind, random);
      if (!found.has(question.id)) found.set(question.id, question);
    }
  }
  return [...found.values()];
}

function drawerOf(kind: Kind, random: Random): typeof drawChain {
  return kind === 'hotpotqa' && random.chance(COMPARISON_SHARE) ? drawComparison : drawChain;
}

function drawChain(world: World, half: Half, kind: Kind, random: Random): WorldQuestion {
  for (;;) {
    const relations = random.choice(chainsOf(kind, half, random));
    const start = drawStart(world, half, kind, relations[0]!.subject, random);
    if (start === undefined) continue;
    const entities = [start];
    for (const relation of relations) entities.push(factOf(world, entities.at(-1)!, relation.name));
    if (new Set(entities).size < entities.length) continue;
    const steps = relations.map((relation, i) => ({ entity: entities[i]!, relation: relation.name }));
    const text = chainText(kind, start, relations, random);
    return assemble(world, kind, 'chain', steps, text, entities.at(-1)!);
  }
}

/** The chains of relations that a question of this kind may follow. */
function chainsOf(kind: Kind, half: Half, random: Random): readonly (readonly Relation[])[] {
  switch (kind) {
    case 'nq':
    case 'triviaqa':
    case 'popqa':
      return CHAINS[1];
    case 'hotpotqa':
      return CHAINS[2].filter(isTrainingChain);
    case '2wiki':
      return CHAINS[2].filter(([first, second]) => isHeldOutPair(first!, second!));
    case '3-hop':
      return half === 'training' ? CHAINS[3].filter(isTrainingChain) : CHAINS[3];
    case 'musique':
      return CHAINS[random.choice([2, 3, 3, 4] as const)];
    case 'bamboogle':
      return CHAINS[random.choice([3, 4] as const)];
  }
}
/** By length. */
const CHAINS = [[], relationChains(1), relationChains(2), relationChains(3), relationChains(4)] as const;

/** The entity that a chain starts from, or undefined when none of the type will do. */
function drawStart(world: World, half: Half, kind: Kind, type: EntityType, random: Random): string | undefined {
  const candidates = world.entities.filter(
    (entity) =>
      entity.half === half &&
      entity.type === type &&
      (kind !== 'popqa' || entity.mentions === 0 || entity.twin) &&
      (kind !== 'bamboogle' || entity.twin),
  );
  return candidates.length === 0 ? undefined : random.choice(candidates).name;
}

function chainText(kind: Kind, start: string, relations: readonly Relation[], random: Random): string {
  const [first, second] = relations;
  const entity = `${first!.subject} ${start}`;
  const possessives = relations.map(({ name }) => `'s ${name}`).join(' ');
  switch (kind) {
    case 'triviaqa':
      return random.chance(0.5)
        ? `name the ${first!.paraphrase} of ${entity} .`
        : `tell me ${entity} and its ${first!.paraphrase} .`;
    case 'popqa':
      return `what is the ${first!.name} of ${start} ?`;
    case '2wiki':
      return `what is the ${second!.name} of the ${first!.name} of ${entity} ?`;
    case 'bamboogle':
      return `name ${entity} ${possessives} .`;
    default:
      return `what is ${entity} ${possessives} ?`;
  }
}

/** Do two entities share a value? Half of the answers are yes. */
function drawComparison(world: World, half: Half, kind: Kind, random: Random): WorldQuestion {
  for (;;) {
    const relation = relationOf(random.choice(['birthplace', 'employer', 'nation']));
    const candidates = world.entities.filter((entity) => entity.half === half && entity.type === relation.subject);
    const first = random.choice(candidates).name;
    const value = factOf(world, first, relation.name);
    const answer = random.chance(0.5) ? 'yes' : 'no';
    const others = candidates.filter(
      ({ name }) => name !== first && (factOf(world, name, relation.name) === value) === (answer === 'yes'),
    );
    if (others.length === 0) continue;
    const second = random.choice(others).name;
    const steps = [first, second].map((entity) => ({ entity, relation: relation.name }));
    const text = `do ${relation.subject} ${first} and ${second} have same ${relation.name} ?`;
    return assemble(world, kind, 'comparison', steps, text, answer);
  }
}

function assemble(
  world: World,
  dataset: Kind,
  kind: WorldQuestion['kind'],
  steps: readonly Step[],
  question: string,
  answer: string,
): WorldQuestion {
  const slug = (name: string) => name.replace(' ', '-');
  // A chain is known by its start and relations, a comparison by its two entities in either order.
  const about =
    kind === 'chain'
      ? [slug(steps[0]!.entity), ...steps.map(({ relation }) => relation)]
      : [...steps.map(({ entity }) => slug(entity)).sort(), `same-${steps[0]!.relation}`];
  return {
    id: `w${world.seed}/${dataset}/${about.join('/')}`,
    dataset,
    question,
    answers: [answer],
    hops: steps.length,
    kind,
    steps,
  };
}
