import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { factOf, generateWorld } from './generate.ts';
import { NAME_TOKENS } from './names.ts';
import { ENTITY_COUNTS, RELATIONS, relationOf } from './schema.ts';
import { readFacts } from './testing/encyclopedia.ts';

const seeds = fc.integer({ min: 0, max: 1_000_000 });
const few = { numRuns: 3 };

test('the same seed gives the same world, another seed another', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      expect(generateWorld(seed)).toEqual(generateWorld(seed));
      expect(generateWorld(seed + 1).passages).not.toEqual(generateWorld(seed).passages);
    }),
    few,
  );
});

test('a larger world has so many times the entities of each type, and names share their tokens with more others', () => {
  const [usual, larger] = [generateWorld(5), generateWorld(5, 3)];
  const counts = (of: typeof usual) =>
    RELATIONS.map(({ subject }) => of.entities.filter(({ type }) => type === subject).length);
  expect(counts(larger)).toEqual(counts(usual).map((count) => 3 * count));
  expect(larger.byName.size).toBe(3 * usual.byName.size);
  expect(new Set(larger.entities.flatMap(({ name }) => name.split(' '))).size).toBe(NAME_TOKENS.length);
});

describe('a world', () => {
  const world = generateWorld(5);
  const facts = readFacts(world.passages);

  test('has about 700 articles, half of them in each half', () => {
    const half = Object.values(ENTITY_COUNTS).reduce((sum, count) => sum + count, 0);
    expect(world.passages).toHaveLength(2 * half);
    expect(2 * half).toBeGreaterThan(600);
    expect(world.entities.filter((entity) => entity.half === 'evaluation')).toHaveLength(half);
    expect(new Set(world.passages.map(({ id }) => id)).size).toBe(2 * half);
    expect(new Set(world.passages.map(({ title }) => title)).size).toBe(2 * half);
  });

  test('names are two different tokens of the inventory; each token is in about ten titles', () => {
    const uses = new Map<string, number>();
    for (const { name } of world.entities) {
      const tokens = name.split(' ');
      expect(new Set(tokens).size).toBe(2);
      for (const token of tokens) {
        expect(NAME_TOKENS).toContain(token);
        uses.set(token, (uses.get(token) ?? 0) + 1);
      }
    }
    expect(uses.size).toBe(NAME_TOKENS.length);
    expect([...uses.values()].sort((a, b) => a - b)[64]).toBeGreaterThanOrEqual(9);
  });

  test('about a quarter of the entities have a reversed twin, and say so', () => {
    const names = new Set(world.entities.map(({ name }) => name));
    for (const { name, twin } of world.entities) expect(twin).toBe(names.has(name.split(' ').reverse().join(' ')));
    const share = world.entities.filter(({ twin }) => twin).length / world.entities.length;
    expect(share).toBeGreaterThan(0.18);
    expect(share).toBeLessThan(0.36);
  });

  test('each article states every relation of its type once, with an object of the right type in the same half', () => {
    for (const { name, type, half } of world.entities) {
      const own = facts.get(name)!;
      const expected = RELATIONS.filter(({ subject }) => subject === type).map((relation) => relation.name);
      expect([...own.keys()].sort()).toEqual(expected.sort());
      for (const relation of expected) {
        const object = world.byName.get(own.get(relation)!)!;
        expect(object.type).toBe(relationOf(relation).object);
        expect(object.half).toBe(half);
        expect(object.name).not.toBe(name);
        expect(factOf(world, name, relation)).toBe(object.name);
      }
    }
  });

  test('spouses are mutual', () => {
    for (const { name, type } of world.entities)
      if (type === 'person') expect(facts.get(facts.get(name)!.get('spouse')!)!.get('spouse')).toBe(name);
  });

  test('mentions counts the sentences that name the entity as an object', () => {
    const values = [...facts.values()].flatMap((own) => [...own.values()]);
    for (const { name, mentions } of world.entities)
      expect(mentions).toBe(values.filter((value) => value === name).length);
  });

  test('articles of the two halves are mixed, so that ties favour neither', () => {
    const first = world.passages.slice(0, 200).filter(({ title }) => world.byName.get(title)!.half === 'training');
    expect(first.length).toBeGreaterThan(60);
    expect(first.length).toBeLessThan(140);
  });

  test('asking for a fact that is not there is an error that names it', () => {
    const film = world.entities.find(({ type }) => type === 'film')!;
    expect(() => factOf(world, film.name, 'mayor')).toThrow(`no mayor of ${film.name} in world 5`);
    expect(() => factOf(world, 'no body', 'mayor')).toThrow(RangeError);
  });
});
