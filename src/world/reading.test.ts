import { describe, expect, test } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import { generateWorld } from './generate.ts';
import { readingExample } from './reading.ts';
import { relationOf } from './schema.ts';
import { readFacts } from './testing/encyclopedia.ts';

const world = generateWorld(41);
const facts = readFacts(world.passages);

describe.each([
  [1, 4],
  [2, 6],
  [3, 8],
])('%i articles, %i statements', (articles, statements) => {
  const examples = Array.from({ length: 100 }, (_, i) =>
    readingExample(world, new Random(streamKey('test', 'reading', articles, i)), articles, statements),
  );

  test('has that many whole articles, each one once', () => {
    for (const { text } of examples) {
      const titles = [...text.matchAll(/\[ (\S+ \S+) \]/g)].map((match) => match[1]!);
      expect(new Set(titles).size).toBe(articles);
      for (const title of titles)
        expect(text).toContain(`[ ${title} ] ${world.passages.find((passage) => passage.title === title)!.text}`);
    }
  });

  test('states facts of these articles, and marks the words that must be read off them', () => {
    for (const { text, targets } of examples) {
      const words = text.split(' ');
      expect(targets).toHaveLength(words.length);
      const titles = [...text.matchAll(/\[ (\S+ \S+) \]/g)].map((match) => match[1]);
      const said = text.slice(text.search(/ (find \S+ of|what is \S+ \S+ \S+ 's) /) + 1);
      const pattern = /find (\S+) of (\S+ \S+) \1 is (\S+ \S+) \.|what is \S+ (\S+ \S+) 's (\S+) \? (\S+ \S+) \./g;
      const matches = [...said.matchAll(pattern)];
      expect(matches).toHaveLength(statements);
      expect(matches.map(([whole]) => whole).join(' ')).toBe(said);

      const expected: string[] = [];
      for (const [, relation, subject, value, asked, noun, answer] of matches) {
        const name = subject ?? asked!;
        expect(titles).toContain(name);
        const stated = [...facts.get(name)!].filter(
          ([key]) => key === (relation ?? noun) || relationOf(key as 'star').paraphrase === noun,
        );
        expect(stated.map(([, object]) => object)).toEqual([value ?? answer]);
        expected.push(...(relation ? [relation] : []), ...(value ?? answer!).split(' '), '.');
      }
      expect(words.filter((_, i) => targets[i])).toEqual(expected);
    }
  });

  test('the same stream gives the same example', () => {
    const again = readingExample(world, new Random(streamKey('test', 'reading', articles, 0)), articles, statements);
    expect(again).toEqual(examples[0]);
  });
});

test('from two articles on, one is about something that another names', () => {
  for (let i = 0; i < 50; i++) {
    const { text } = readingExample(world, new Random(streamKey('test', 'linked', i)), 2, 1);
    const titles = [...text.matchAll(/\[ (\S+ \S+) \]/g)].map((match) => match[1]!);
    const linked = titles.some((title) => [...facts.get(title)!.values()].some((value) => titles.includes(value)));
    expect(linked).toBe(true);
  }
});
