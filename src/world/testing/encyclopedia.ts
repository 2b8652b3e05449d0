/** For tests: BM25 over a world, and the facts as its articles state them, read from their text alone. */
import { Bm25Index } from '../../retrieval/bm25.ts';
import type { Passage } from '../../retrieval/retriever.ts';
import type { World } from '../generate.ts';
import { RELATIONS } from '../schema.ts';
import type { Search, Turn } from '../turns.ts';

export function searchOver(world: World): Search {
  const index = new Bm25Index(world.passages, { analyzer: 'words', k1: 0.9, b: 0.4 });
  return (query, k) => index.searchNow(query, k).map(({ passage }) => passage);
}

/** Facts by title, then by relation. Throws when an article says anything that the schema does not know. */
export function readFacts(passages: readonly Passage[]): Map<string, Map<string, string>> {
  return new Map(
    passages.map(({ title, text }) => {
      const [, name, type, rest] = /^(\S+ \S+) is a (\S+) \. (.*) \.$/.exec(text)!;
      if (name !== title) throw new Error(`${title}: its article is about ${name}`);
      const facts = rest!.split(' . ').map((sentence) => {
        const relation = RELATIONS.find(
          ({ subject, surfaces }) => subject === type && surfaces.some((surface) => sentence.startsWith(`${surface} `)),
        );
        if (!relation) throw new Error(`${title}: "${sentence}" states nothing about a ${type}`);
        return [relation.name, sentence.split(' ').slice(-2).join(' ')] as const;
      });
      return [title, new Map<string, string>(facts)];
    }),
  );
}

export function answerOf(turns: readonly Turn[]): string {
  return /<answer> (.*) <\/answer>$/.exec(turns.at(-1)!.policy)![1]!;
}

export function searchesOf(turns: readonly Turn[]): number {
  return turns.filter(({ query }) => query !== null).length;
}

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
