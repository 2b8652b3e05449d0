import { expect, test } from 'vitest';
import { isHeldOutPair, isTrainingChain, RELATIONS, relationChains } from './schema.ts';

const pairs = relationChains(2).map(([first, second]) => [first!, second!] as const);

test('there are 36 pairs of relations, of which a third is held out of training', () => {
  expect(pairs).toHaveLength(36);
  expect(pairs.filter(([first, second]) => isHeldOutPair(first, second))).toHaveLength(12);
});

test('training still shows, first and second in some pair, every relation that can be', () => {
  const kept = pairs.filter((pair) => isTrainingChain(pair));
  for (const relation of RELATIONS) {
    expect(kept.some(([first]) => first === relation)).toBe(true);
    const canFollow = pairs.some(([, second]) => second === relation);
    expect(kept.some(([, second]) => second === relation)).toBe(canFollow);
  }
});

test('chains join: the object of each relation is the subject of the next', () => {
  for (const chain of relationChains(4))
    for (let i = 1; i < chain.length; i++) expect(chain[i]!.subject).toBe(chain[i - 1]!.object);
});

test('a longer chain is a training chain when all of its pairs are', () => {
  for (const chain of relationChains(3)) {
    const [a, b, c] = chain;
    expect(isTrainingChain(chain)).toBe(isTrainingChain([a!, b!]) && isTrainingChain([b!, c!]));
  }
});

test('articles and questions share no word for a relation, and no two relations share a wording', () => {
  const inQuestions = RELATIONS.flatMap(({ name, paraphrase }) => [name, paraphrase]);
  const inArticles = RELATIONS.flatMap(({ surfaces }) => [...surfaces]);
  expect(new Set(inQuestions).size).toBe(inQuestions.length);
  expect(new Set(inArticles.map((surface) => surface.split(' ')[0])).size).toBe(inArticles.length);
  const articleWords = new Set(inArticles.flatMap((surface) => surface.split(' ')));
  const types = new Set<string>(RELATIONS.map(({ subject }) => subject));
  for (const word of inQuestions) expect(articleWords.has(word) || types.has(word)).toBe(false);
});
