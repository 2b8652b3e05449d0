import { describe, expect, test } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import { generateWorld } from './generate.ts';
import { isHeldOutPair, isTrainingChain, relationOf } from './schema.ts';
import { evaluationQuestions, SUITES, trainingQuestions, type WorldQuestion, warmupQuestion } from './suites.ts';
import { mean, readFacts } from './testing/encyclopedia.ts';

const worlds = [11, 12, 13].map((seed) => generateWorld(seed));
const world = worlds[0]!;
const facts = readFacts(world.passages);

const relationsOf = (question: WorldQuestion) => question.steps.map(({ relation }) => relationOf(relation));

/** Entities on the way and at the end, by the articles' own text. */
function path(question: WorldQuestion): string[] {
  const names = [question.steps[0]!.entity];
  for (const { relation } of question.steps) names.push(facts.get(names.at(-1)!)!.get(relation)!);
  return names;
}

function expectRightAnswer(question: WorldQuestion) {
  const { kind, steps, answers } = question;
  expect(question.hops).toBe(steps.length);
  expect(answers).toHaveLength(1);
  for (const { relation } of steps)
    if (question.dataset !== 'triviaqa') expect(question.question.split(' ')).toContain(relation);
    else expect(question.question.split(' ')).toContain(relationOf(relation).paraphrase);
  if (kind === 'comparison') {
    const [first, second] = steps.map(({ entity, relation }) => facts.get(entity)!.get(relation));
    expect(answers[0]).toBe(first === second ? 'yes' : 'no');
    expect(steps[0]!.entity).not.toBe(steps[1]!.entity);
    for (const { entity } of steps) expect(question.question).toContain(` ${entity} `);
    return;
  }
  const names = path(question);
  expect(question.question).toContain(` ${names[0]} `);
  expect(steps.map(({ entity }) => entity)).toEqual(names.slice(0, -1));
  expect(new Set(names).size).toBe(names.length);
  expect(answers[0]).toBe(names.at(-1));
}

describe.each(SUITES)('%s', (suite) => {
  const questions = evaluationQuestions(world, suite, 150);

  test('has distinct questions with ids of their own; fewer are the first of more', () => {
    expect(new Set(questions.map(({ id }) => id)).size).toBe(150);
    expect(new Set(questions.map(({ question }) => question)).size).toBe(150);
    expect(evaluationQuestions(world, suite, 40)).toEqual(questions.slice(0, 40));
    expect(evaluationQuestions(worlds[1]!, suite, 40)[0]!.id).not.toBe(questions[0]!.id);
  });

  test('has right answers, reached through the articles of the evaluation half', () => {
    for (const question of questions) {
      expect(question.dataset).toBe(suite);
      expectRightAnswer(question);
      for (const { entity } of question.steps) expect(world.byName.get(entity)!.half).toBe('evaluation');
    }
  });

  test('survives a file', () => {
    expect(JSON.parse(JSON.stringify(questions))).toEqual(questions);
  });
});

describe('each suite is of its kind', () => {
  const of = (suite: (typeof SUITES)[number]) => evaluationQuestions(world, suite, 150);

  test('hops', () => {
    for (const suite of ['nq', 'triviaqa', 'popqa'] as const)
      expect(new Set(of(suite).map(({ hops }) => hops))).toEqual(new Set([1]));
    for (const suite of ['hotpotqa', '2wiki'] as const)
      expect(new Set(of(suite).map(({ hops }) => hops))).toEqual(new Set([2]));
    expect(new Set(of('musique').map(({ hops }) => hops))).toEqual(new Set([2, 3, 4]));
    expect(new Set(of('bamboogle').map(({ hops }) => hops))).toEqual(new Set([3, 4]));
  });

  test('popqa asks about entities hardly named elsewhere or easily confused, bamboogle starts from the latter', () => {
    for (const { steps } of of('popqa')) {
      const { mentions, twin } = world.byName.get(steps[0]!.entity)!;
      expect(mentions === 0 || twin).toBe(true);
    }
    for (const { steps } of of('bamboogle')) expect(world.byName.get(steps[0]!.entity)!.twin).toBe(true);
  });

  test('2wiki asks only pairs of relations that training never asks', () => {
    for (const question of of('2wiki')) {
      const [first, second] = relationsOf(question);
      expect(isHeldOutPair(first!, second!)).toBe(true);
    }
  });

  test('hotpotqa has about 15 % comparisons, about half of them answered yes', () => {
    const comparisons = worlds
      .flatMap((one) => evaluationQuestions(one, 'hotpotqa', 500))
      .filter(({ kind }) => kind === 'comparison');
    expect(comparisons.length / 1500).toBeGreaterThan(0.12);
    expect(comparisons.length / 1500).toBeLessThan(0.19);
    const yes = mean(comparisons.map(({ answers }) => Number(answers[0] === 'yes')));
    expect(yes).toBeGreaterThan(0.38);
    expect(yes).toBeLessThan(0.62);
  });
});

describe('training', () => {
  const questions = trainingQuestions(world, 900);

  test('has distinct questions with right answers; fewer are the first of more', () => {
    expect(new Set(questions.map(({ id }) => id)).size).toBe(900);
    expect(trainingQuestions(world, 100)).toEqual(questions.slice(0, 100));
    for (const question of questions) expectRightAnswer(question);
  });

  test('is one third each of one, two and three hops, in any slice', () => {
    for (const start of [0, 300, 600])
      for (const dataset of ['nq', 'hotpotqa', '3-hop'])
        expect(questions.slice(start, start + 300).filter((one) => one.dataset === dataset)).toHaveLength(100);
    for (const { dataset, hops } of questions) expect(hops).toBe({ nq: 1, hotpotqa: 2, '3-hop': 3 }[dataset as 'nq']);
  });

  test('asks the numbers of hops that are wanted, alike', () => {
    const short = trainingQuestions(world, 60, [2, 1]);
    expect(short.filter(({ hops }) => hops === 1)).toHaveLength(30);
    expect(short.filter(({ hops }) => hops === 2)).toHaveLength(30);
    for (const question of short) expectRightAnswer(question);
    expect(() => trainingQuestions(world, 1000, [1])).toThrow(/about 7\d\d distinct training questions/);
  });

  test('never asks a held-out pair of relations', () => {
    for (const question of questions)
      if (question.kind === 'chain') expect(isTrainingChain(relationsOf(question))).toBe(true);
  });

  test.each([11, 12, 13, 14, 15, 16])('never meets an entity of the evaluation half (world %i)', (seed) => {
    const one = generateWorld(seed);
    const others = new Set(one.entities.filter(({ half }) => half === 'evaluation').map(({ name }) => name));
    const meets = (text: string) => {
      const words = text.split(' ');
      return words.some((word, i) => others.has(`${word} ${words[i + 1]}`));
    };
    const ofOne = readFacts(one.passages);
    const asked = trainingQuestions(one, 600);
    for (const { question, answers, kind, steps } of asked) {
      expect(meets(question)).toBe(false);
      for (const answer of answers) expect(meets(answer)).toBe(false);
      for (const { entity, relation } of steps) {
        expect(others.has(entity)).toBe(false);
        if (kind === 'chain') expect(others.has(ofOne.get(entity)!.get(relation)!)).toBe(false);
      }
    }
    // The evaluation suites are about nothing else.
    for (const suite of SUITES)
      for (const { question } of evaluationQuestions(one, suite, 30)) expect(meets(question)).toBe(true);
  });
});

test('the warm-up asks about both halves, in every kind', () => {
  const random = new Random(streamKey('test', 'warm-up'));
  const questions = Array.from({ length: 500 }, () => warmupQuestion(world, random));
  expect(new Set(questions.map(({ dataset }) => dataset))).toEqual(new Set<string>(SUITES));
  const halves = questions.map(({ steps }) => world.byName.get(steps[0]!.entity)!.half);
  expect(mean(halves.map((half) => Number(half === 'training')))).toBeCloseTo(0.5, 0);
  for (const question of questions) expectRightAnswer(question);
});

test('a suite gives what it has: all questions are distinct, and a smaller number gives the first of them', () => {
  // One-hop questions of a kind are (entity, relation) pairs, so the world bounds them from above.
  for (const suite of ['nq', 'popqa'] as const) {
    const all = evaluationQuestions(world, suite, 5000);
    expect(all.length).toBeLessThan(1000);
    expect(all.length).toBeGreaterThan(suite === 'popqa' ? 250 : 600);
    expect(new Set(all.map((q) => q.question)).size).toBe(all.length);
    expect(evaluationQuestions(world, suite, 40)).toEqual(all.slice(0, 40));
    for (const question of all.slice(-20)) expectRightAnswer(question);
  }
});

test('asking for more training questions than there are is an error that says how many there are', () => {
  expect(() => trainingQuestions(world, 5000)).toThrow(/about \d+ distinct training questions, 5000 were asked/);
});
