/** What the world says of its questions, held against its articles and its perfect agent. */
import { describe, expect, it } from 'vitest';
import { Bm25Index } from '../retrieval/bm25.ts';
import { oracle } from './demonstrations.ts';
import { generateWorld } from './generate.ts';
import { worldGold } from './gold.ts';
import { evaluationQuestions, SUITES, trainingQuestions } from './suites.ts';

const world = generateWorld(7);
const gold = worldGold(world);
const questions = [...trainingQuestions(world, 60), ...SUITES.flatMap((suite) => evaluationQuestions(world, suite, 8))];
const byId = new Map(world.passages.map((passage) => [passage.id, passage]));

describe('what the world knows of a question', () => {
  it('is the article of each step, in the order of a chain', () => {
    for (const question of questions) {
      const { steps, ordered } = gold(question)!;
      expect(steps.map(({ passage }) => byId.get(passage)!.title)).toEqual(question.steps.map(({ entity }) => entity));
      expect(ordered).toBe(question.kind === 'chain');
    }
  });

  it('is what the perfect agent searches for: its queries are the keys, and find the passages', async () => {
    const index = new Bm25Index(world.passages, { analyzer: 'words' });
    let all = 0;
    let hits = 0;
    for (const question of questions) {
      const { steps } = gold(question)!;
      const found = await index.search(
        steps.map(({ key }) => key),
        2,
      );
      all += steps.length;
      hits += steps.filter(({ passage }, i) => found[i]!.some((hit) => hit.passage.id === passage)).length;
      const lists = new Map(steps.map(({ key }, i) => [key, found[i]!.map(({ passage }) => passage)]));
      const queries = oracle(world, question, (query) => lists.get(query) ?? []).flatMap(({ query }) => query ?? []);
      expect(steps.map(({ key }) => key)).toEqual(expect.arrayContaining(queries));
    }
    expect(hits / all).toBeGreaterThan(0.98);
  });

  it('tells facts on the way from others', () => {
    const question = questions.find(({ kind, hops }) => kind === 'chain' && hops === 2)!;
    const { misstates } = gold(question)!;
    const [first, second] = question.steps;
    expect(misstates(`<think> ${first!.relation} is ${second!.entity} . find ${second!.relation} of x </think>`)).toBe(
      false,
    );
    expect(misstates(`${second!.relation} is ${question.answers[0]} . done`)).toBe(false);
    expect(misstates(`${first!.relation} is ${question.answers[0]} . done`)).toBe(true);
    expect(misstates(`${first!.relation} is ${second!.entity} . ${second!.relation} is ${first!.entity} .`)).toBe(true);
    expect(misstates('not found . find director of gezor fano')).toBe(false);
  });

  it('is nothing for questions of another world, or of a file', () => {
    expect(worldGold(generateWorld(8))(questions[0]!)).toBeUndefined();
    expect(gold({ id: 'q', dataset: 'd', question: 'who ?', answers: ['x'], goldIds: ['p'] })).toBeUndefined();
  });
});
