import { describe, expect, it } from 'vitest';
import { streamKey, uniformAt } from '../base/random.ts';
import type { Retriever } from '../retrieval/retriever.ts';
import { generateWorld } from '../world/generate.ts';
import { fullQuery, vagueQuery } from '../world/turns.ts';
import { corrupted, noiseShare, withNoise } from './noise.ts';

/** Finds one passage, named by the query. */
const echo: Pick<Retriever, 'search'> = {
  search: async (queries) => queries.map((query) => [{ passage: { id: query, title: query, text: query }, score: 1 }]),
};

describe('the share of noise', () => {
  it('by hand: b 4, from 0 to .5 over 2 steps', () => {
    // (4^.5 − 1) / 3 · .5 = 1/6, then .5.
    const course = { from: 0, to: 0.5, base: 4 };
    expect(noiseShare(course, 1, 2)).toBeCloseTo(1 / 6, 12);
    expect(noiseShare(course, 2, 2)).toBeCloseTo(0.5, 12);
    expect(noiseShare({ ...course, from: 0.3, to: 0.3 }, 1, 7)).toBeCloseTo(0.3, 12);
  });
});

describe('a search under noise', () => {
  it('is the careless query of the embedded world', () => {
    const [entity] = generateWorld(1).entities;
    expect(corrupted(fullQuery(entity!.name, 'author'))).toBe(vagueQuery(entity!.name, 'author'));
    expect(corrupted('one')).toBe('');
  });

  it('is drawn by rollout and search, whoever comes first', async () => {
    const key = streamKey('noise');
    const ask = async () => {
      const noisy = withNoise(echo, { share: 0.5, key });
      const found: string[] = [];
      for (let i = 0; i < 40; i++) found.push((await noisy.search(['a b'], 2))[0]![0]!.passage.id);
      return found;
    };
    const found = await ask();
    expect(found).toEqual(Array.from({ length: 40 }, (_, i) => (uniformAt(key, i) <= 0.5 ? 'b' : 'a b')));
    expect(await ask()).toEqual(found);
    expect(new Set(found).size).toBe(2);
  });

  it('is as asked at share 0, and finds nothing for a query of one word at share 1', async () => {
    const key = streamKey('noise');
    expect((await withNoise(echo, { share: 0, key }).search(['a b', 'c'], 2)).map(([hit]) => hit?.passage.id)).toEqual([
      'a b',
      'c',
    ]);
    expect(
      (await withNoise(echo, { share: 1, key }).search(['a b', 'c', 'd e'], 2)).map(([hit]) => hit?.passage.id),
    ).toEqual(['b', undefined, 'e']);
  });
});
