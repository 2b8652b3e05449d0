/**
 * The grammar of the embedded world: kinds of entities, the relations between them, and how articles and questions say them.
 *
 * An article never uses a relation's own word or its paraphrase (it says "directed by", a question says "director" or
 * "filmmaker"): the word for a relation finds no passage, and an answer is found by understanding the sentence.
 */

/** Each half of the world has this many entities of a type. */
export const ENTITY_COUNTS = {
  person: 130,
  film: 55,
  book: 35,
  company: 35,
  team: 30,
  city: 40,
  country: 12,
} as const;

export type EntityType = keyof typeof ENTITY_COUNTS;
export const ENTITY_TYPES = Object.keys(ENTITY_COUNTS) as readonly EntityType[];

interface RelationShape {
  readonly name: string;
  readonly subject: EntityType;
  readonly object: EntityType;
  /** How an article states it, before the object's name. */
  readonly surfaces: readonly [string, string];
  /** How a question may name it instead. */
  readonly paraphrase: string;
}

export const RELATIONS = [
  {
    name: 'director',
    subject: 'film',
    object: 'person',
    surfaces: ['directed by', 'shot by'],
    paraphrase: 'filmmaker',
  },
  { name: 'star', subject: 'film', object: 'person', surfaces: ['starring', 'featuring'], paraphrase: 'actor' },
  { name: 'author', subject: 'book', object: 'person', surfaces: ['written by', 'penned by'], paraphrase: 'writer' },
  {
    name: 'founder',
    subject: 'company',
    object: 'person',
    surfaces: ['founded by', 'started by'],
    paraphrase: 'creator',
  },
  {
    name: 'headquarters',
    subject: 'company',
    object: 'city',
    surfaces: ['based in', 'offices in'],
    paraphrase: 'seat',
  },
  { name: 'coach', subject: 'team', object: 'person', surfaces: ['coached by', 'drilled by'], paraphrase: 'trainer' },
  { name: 'home', subject: 'team', object: 'city', surfaces: ['plays in', 'hosted in'], paraphrase: 'ground' },
  { name: 'birthplace', subject: 'person', object: 'city', surfaces: ['born in', 'native of'], paraphrase: 'origin' },
  { name: 'spouse', subject: 'person', object: 'person', surfaces: ['married to', 'wed to'], paraphrase: 'partner' },
  {
    name: 'employer',
    subject: 'person',
    object: 'company',
    surfaces: ['works at', 'employed at'],
    paraphrase: 'workplace',
  },
  { name: 'nation', subject: 'city', object: 'country', surfaces: ['lies in', 'part of'], paraphrase: 'land' },
  { name: 'mayor', subject: 'city', object: 'person', surfaces: ['run by', 'governed by'], paraphrase: 'governor' },
  {
    name: 'capital',
    subject: 'country',
    object: 'city',
    surfaces: ['ruled from', 'administered from'],
    paraphrase: 'hub',
  },
  { name: 'leader', subject: 'country', object: 'person', surfaces: ['headed by', 'under'], paraphrase: 'ruler' },
] as const satisfies readonly RelationShape[];

export type Relation = (typeof RELATIONS)[number];
export type RelationName = Relation['name'];

const BY_NAME = new Map<string, Relation>(RELATIONS.map((relation) => [relation.name, relation]));

export function relationOf(name: RelationName): Relation {
  return BY_NAME.get(name)!;
}

/** Every chain of `length` relations in which each one's object is the next one's subject. */
export function relationChains(length: number): readonly (readonly Relation[])[] {
  if (length === 1) return RELATIONS.map((relation) => [relation]);
  return relationChains(length - 1).flatMap((chain) =>
    RELATIONS.filter((next) => next.subject === chain.at(-1)!.object).map((next) => [...chain, next]),
  );
}

/**
 * A third of the 36 pairs of relations: questions of the suite '2wiki' ask only these, training questions never do.
 * Training still shows every relation in first and in second place.
 */
const HELD_OUT_PAIRS: ReadonlySet<string> = new Set([
  'director birthplace',
  'star spouse',
  'author employer',
  'founder birthplace',
  'coach spouse',
  'spouse employer',
  'mayor birthplace',
  'leader spouse',
  'headquarters nation',
  'home mayor',
  'birthplace nation',
  'capital mayor',
] satisfies `${RelationName} ${RelationName}`[]);

export function isHeldOutPair(first: Relation, second: Relation): boolean {
  return HELD_OUT_PAIRS.has(`${first.name} ${second.name}`);
}

/** True when no two neighbours of a chain are a held-out pair. */
export function isTrainingChain(chain: readonly Relation[]): boolean {
  return chain.every((relation, i) => i === 0 || !isHeldOutPair(chain[i - 1]!, relation));
}
