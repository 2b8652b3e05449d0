/**
 * Reading exercises, the first thing that the base policy learns: a few articles, then statements and answers about them.
 *
 *   [ kital kata ] kital kata is a film . shot by teko gebin . ... find director of kital kata director is teko gebin .
 *   ... what is film kital kata 's filmmaker ? teko gebin .
 *
 * Targets are the words that have to be read off the articles: the value (and the full stop that ends it), and the relation
 * where it is said a second time. Everything else is text to be predicted with a smaller weight.
 */
import type { Random } from '../base/random.ts';
import { articleOf, type Entity, type World } from './generate.ts';
import { relationOf } from './schema.ts';

export interface ReadingExample {
  /** Words separated by single spaces. */
  readonly text: string;
  /** One entry a word of the text: true where the loss has its full weight. */
  readonly targets: boolean[];
}

/** `articles` >= 1 articles in random order (from two on, one is about something that another names), then `statements` statements. */
export function readingExample(world: World, random: Random, articles: number, statements: number): ReadingExample {
  const entities = drawEntities(world, random, articles);
  const words: string[] = [];
  const targets: boolean[] = [];
  const say = (text: string, isTarget: boolean) => {
    for (const word of text.split(' ')) {
      words.push(word);
      targets.push(isTarget);
    }
  };

  for (const entity of entities) {
    const { title, text } = articleOf(entity);
    say(`[ ${title} ] ${text}`, false);
  }
  for (let i = 0; i < statements; i++) {
    const entity = random.choice(entities);
    const { relation, value } = random.choice(entity.statements);
    if (random.chance(0.5)) {
      say(`find ${relation} of ${entity.name}`, false);
      say(relation, true);
      say('is', false);
    } else {
      const noun = random.choice([relation, relationOf(relation).paraphrase]);
      say(`what is ${entity.type} ${entity.name} 's ${noun} ?`, false);
    }
    say(`${value} .`, true);
  }
  return { text: words.join(' '), targets };
}

function drawEntities(world: World, random: Random, count: number): Entity[] {
  const first = random.choice(world.entities);
  const second = world.byName.get(random.choice(first.statements).value)!;
  const others = random.sample(world.entities, count).filter((entity) => entity !== first && entity !== second);
  return random.shuffle([first, second, ...others].slice(0, count));
}
