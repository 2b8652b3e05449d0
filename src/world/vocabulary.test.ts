import { expect, test } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import { tokenizerFromJson } from '../checkpoint/tokenizer.ts';
import { fill } from '../protocol/prompts.ts';
import { worldTemplate } from '../protocol/templates.ts';
import { demonstrate, oracle } from './demonstrations.ts';
import { generateWorld } from './generate.ts';
import { imitate } from './imitation.ts';
import { NAME_TOKENS } from './names.ts';
import { readingExample } from './reading.ts';
import { evaluationQuestions, SUITES, trainingQuestions, warmupQuestion } from './suites.ts';
import { searchOver } from './testing/encyclopedia.ts';
import type { Turn } from './turns.ts';
import { SPECIAL_TOKENS, WORDS, worldTokenizerJson } from './vocabulary.ts';

const all = [...SPECIAL_TOKENS, ...WORDS];

test('has about 240 tokens, each once; 128 of them are names that are no other word', () => {
  expect(new Set(all).size).toBe(all.length);
  expect(all.length).toBeGreaterThan(220);
  expect(all.length).toBeLessThan(260);
  expect(new Set(NAME_TOKENS).size).toBe(128);
  expect(WORDS.slice(-128)).toEqual(NAME_TOKENS);
});

test('the tokenizer gives ids in the order of the lists', () => {
  const tokenizer = tokenizerFromJson(worldTokenizerJson());
  expect(tokenizer.vocabulary).toBe(all.length);
  expect(tokenizer.encode(all.join(' '))).toEqual(all.map((_, id) => id));
  expect(tokenizer.encode('<pad> unheard')).toEqual([0, 1]);
});

test('knows every word of articles, questions, prompts, observations and demonstrations, in many worlds', () => {
  const known = new Set(all.filter((token) => token !== '<unk>'));
  const unknown = new Set<string>();
  // White space at the ends belongs to the template; between words there is exactly one space.
  const hear = (text: string) => {
    for (const word of text.trim().split(' ')) if (!known.has(word)) unknown.add(word);
  };
  const { student, teacher, observation, passage, separator, nothingFound, invalidAction } = worldTemplate;
  const hearTurns = (turns: readonly Turn[]) => {
    for (const { policy, query, passages } of turns) {
      hear(policy);
      const shown = passages.map(({ title, text }) => fill(passage, { title, text })).join(separator);
      if (query !== null) hear(fill(observation, { passages: shown || nothingFound }));
    }
  };
  hear(fill(observation, { passages: nothingFound }));
  hear(invalidAction);
  for (let seed = 100; seed < 106; seed++) {
    const world = generateWorld(seed);
    const search = searchOver(world);
    const random = new Random(streamKey('test', seed));
    for (const { title, text } of world.passages) hear(fill(passage, { title, text }));
    const questions = [
      ...SUITES.flatMap((suite) => evaluationQuestions(world, suite, 20)),
      ...trainingQuestions(world, 60),
      ...Array.from({ length: 60 }, () => warmupQuestion(world, random)),
    ];
    for (const question of questions) {
      const { expert, turns } = imitate(world, question, search, random);
      hear(fill(student, { question: question.question }));
      hear(fill(teacher, { question: question.question, expert }));
      hear(question.answers[0]!);
      hearTurns(turns);
      hearTurns(demonstrate(world, question, search, random));
      hearTurns(oracle(world, question, search));
    }
    for (let i = 0; i < 40; i++) hear(readingExample(world, random, 1 + (i % 3), 6).text);
  }
  expect([...unknown]).toEqual([]);
});

test('world text survives the tokenizer unchanged', () => {
  const tokenizer = tokenizerFromJson(worldTokenizerJson());
  const world = generateWorld(4);
  const random = new Random(streamKey('test', 'round trip'));
  const turns = demonstrate(world, warmupQuestion(world, random), searchOver(world), random);
  for (const { text } of world.passages.slice(0, 50)) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  for (const { policy } of turns) {
    expect(tokenizer.decode(tokenizer.encode(policy))).toBe(policy);
    expect(tokenizer.encode(policy)).toHaveLength(policy.split(' ').length);
  }
});
