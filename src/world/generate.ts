/**
 * A small encyclopedia from a seed: about 700 articles on invented people, films, cities and so on, and the facts they state;
 * a multiple of that when asked.
 *
 * Names. Every entity is called by two tokens of a shared inventory, and each token occurs in about ten titles. Roughly one
 * name in eight is another one reversed ("gezor fano", "fano gezor"): a bag of words cannot tell such twins apart, and an
 * answer has to be copied in the right order.
 * Halves. Training questions are about one half, evaluation questions about the other, and no fact crosses: an entity of the
 * evaluation half is never an answer, nor a step on the way to one, in training. Both halves are in one corpus.
 */
import { Random, streamKey } from '../base/random.ts';
import type { Passage } from '../retrieval/retriever.ts';
import { NAME_TOKENS } from './names.ts';
import { ENTITY_COUNTS, ENTITY_TYPES, type EntityType, RELATIONS, type RelationName } from './schema.ts';

/** World seeds from here on belong to the warm-up of base policies; the settings of a run refuse them. */
export const firstWarmUpWorld = 1_000_000;

export type Half = 'training' | 'evaluation';

/** One sentence of an article: `{surface} {value} .` */
export interface Statement {
  readonly relation: RelationName;
  readonly surface: string;
  /** The object's name. */
  readonly value: string;
}

export interface Entity {
  /** Two name tokens, "t1 t2"; unique in its world. */
  readonly name: string;
  readonly type: EntityType;
  readonly half: Half;
  /** In the order of the article. */
  readonly statements: readonly Statement[];
  /** In how many sentences of other articles it is named. */
  readonly mentions: number;
  /** The reversed name is an entity too. */
  readonly twin: boolean;
}

export interface World {
  readonly seed: number;
  readonly entities: readonly Entity[];
  readonly byName: ReadonlyMap<string, Entity>;
  /** One article an entity, in random order; the title is the entity's name. */
  readonly passages: readonly Passage[];
}

const TWIN_SHARE = 0.15;

/**
 * The same seed gives the same world, on every machine.
 * @param size so many times the usual number of entities of each type: names share their tokens with more others
 */
export function generateWorld(seed: number, size = 1): World {
  const random = new Random(streamKey('world', seed));
  const names = new Set<string>();
  const entities = (['training', 'evaluation'] as const).flatMap((half) => {
    const members = new Map(
      ENTITY_TYPES.map((type) => [
        type,
        Array.from({ length: size * ENTITY_COUNTS[type] }, () => drawName(names, random)),
      ]),
    );
    return describeHalf(half, members, random);
  });
  const mentions = new Map<string, number>();
  for (const { value } of entities.flatMap(({ statements }) => statements))
    mentions.set(value, (mentions.get(value) ?? 0) + 1);
  const complete = entities.map((entity) => ({
    ...entity,
    mentions: mentions.get(entity.name) ?? 0,
    twin: names.has(reversed(entity.name)),
  }));
  return {
    seed,
    entities: complete,
    byName: new Map(complete.map((entity) => [entity.name, entity])),
    passages: random.shuffle(complete).map((entity, i) => ({ id: `w${seed}-${i}`, ...articleOf(entity) })),
  };
}

/** Names. */
type Members = ReadonlyMap<EntityType, readonly string[]>;

/** Facts among the members of one half. */
function describeHalf(half: Half, members: Members, random: Random): Omit<Entity, 'mentions' | 'twin'>[] {
  const spouses = pairUp(members.get('person')!, random);
  return ENTITY_TYPES.flatMap((type) =>
    members.get(type)!.map((name) => {
      const statements = RELATIONS.filter(({ subject }) => subject === type).map((relation) => ({
        relation: relation.name,
        surface: random.choice<string>(relation.surfaces),
        value: relation.name === 'spouse' ? spouses.get(name)! : random.choice(members.get(relation.object)!),
      }));
      return { name, type, half, statements: random.shuffle(statements) };
    }),
  );
}

/** A name not yet taken, added to `names`. */
function drawName(names: Set<string>, random: Random): string {
  for (;;) {
    const isTwin = names.size > 0 && random.chance(TWIN_SHARE);
    const name = isTwin
      ? reversed(random.choice([...names]))
      : `${random.choice(NAME_TOKENS)} ${random.choice(NAME_TOKENS)}`;
    if (names.has(name) || name === reversed(name)) continue;
    names.add(name);
    return name;
  }
}

function reversed(name: string): string {
  return name.split(' ').reverse().join(' ');
}

/** A random matching; each member of a pair is mapped to the other. */
function pairUp(names: readonly string[], random: Random): Map<string, string> {
  const order = random.shuffle(names);
  return new Map(order.map((name, i) => [name, order[i ^ 1]!]));
}

/** Title and text of the entity's article. */
export function articleOf({ name, type, statements }: Entity): Pick<Passage, 'title' | 'text'> {
  const sentences = statements.map(({ surface, value }) => `${surface} ${value} .`);
  return { title: name, text: [name, 'is a', type, '.', ...sentences].join(' ') };
}

/** The object of a relation of a named entity, which must have it. */
export function factOf(world: World, name: string, relation: RelationName): string {
  const statement = world.byName.get(name)?.statements.find((candidate) => candidate.relation === relation);
  if (!statement) throw new RangeError(`no ${relation} of ${name} in world ${world.seed}`);
  return statement.value;
}
