import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Question } from '../base/question.ts';
import { Random, streamKey } from '../base/random.ts';
import { wordTokenizerJson } from '../checkpoint/word-tokenizer.ts';
import type { Template } from '../protocol/template.ts';
import { Bm25Index } from '../retrieval/bm25.ts';
import type { Passage } from '../retrieval/retriever.ts';
import { filesSource } from './files-source.ts';
import { demonstrateOnText, imitateOnText, isDemonstrable, type Library, plainManner } from './real-demonstrations.ts';
import { type PretrainedRecipe, pretrainedRecipe, type Recipe, worldRecipe } from './recipe.ts';

const passages: Passage[] = [
  { id: 'p1', title: 'William Herschel', text: 'William Herschel was born in Hanover in 1738 and found Uranus .' },
  { id: 'p2', title: 'Uranus', text: 'Uranus is the seventh planet from the Sun .' },
  { id: 'p3', title: 'Hanover', text: 'Hanover is a city in Germany , on the river Leine .' },
  { id: 'p4', title: 'Leine', text: 'The Leine is a river in Germany , and flows into the Aller .' },
];
const questions: Question[] = [
  { id: 'q1', dataset: 'test', question: 'where was william herschel born', answers: ['Hanover'], goldIds: ['p1'] },
  { id: 'q2', dataset: 'test', question: 'which river flows through hanover', answers: ['Leine'], goldIds: ['p3'] },
];
const index = new Bm25Index(passages, { analyzer: 'english' });
const library: Library = {
  passage: (id) => passages.find((passage) => passage.id === id),
  search: (query, count = 1) => index.searchNow(query, count),
  shown: (found) => found.map(({ title, text }) => `${title} ${text}`).join(' '),
  searches: 3,
};
const answerOf = (policy: string) => /<answer> (.*) <\/answer>$/.exec(policy)?.[1];

describe('demonstrations on text', () => {
  it('end with an answer that is learned only when it was shown, within the allowed searches', () => {
    for (let seed = 0; seed < 200; seed++) {
      const question = questions[seed % 2]!;
      const random = new Random(streamKey('test', seed));
      const { turns } =
        seed % 3 === 0
          ? imitateOnText(question, library, random)
          : { turns: demonstrateOnText(question, library, random) };
      const last = turns.at(-1)!;
      const shown = turns.flatMap((turn) => turn.passages).map(({ title, text }) => `${title} ${text}`);
      expect(answerOf(last.policy)).toBe(question.answers[0]);
      expect(last.supervised).toBe(shown.some((text) => text.includes(question.answers[0]!)));
      for (const turn of turns.slice(0, -1))
        expect(turn.policy).toMatch(/^<think> .* <\/think>\n<search> \S.* <\/search>$/);
    }
  });

  it('search in several ways', () => {
    const queries = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const first = demonstrateOnText(questions[0]!, library, new Random(streamKey('test', seed)))[0]!;
      queries.add(/<search> (.*) <\/search>/.exec(first.policy)![1]!);
    }
    expect(queries).toContain('where was william herschel born');
    expect(queries).toContain('william herschel born');
    expect(queries).toContain('William Herschel born');
    expect(queries).toContain('herschel');
  });

  it('for pretrained models mostly ask the whole question, and say unknown where nothing shown has the answer', () => {
    let whole = 0;
    const blind: Library = { ...library, shown: () => '' };
    for (let seed = 0; seed < 200; seed++) {
      const random = new Random(streamKey('test', seed));
      const turns = demonstrateOnText(questions[0]!, library, random, plainManner);
      if (turns[0]!.policy.includes(`<search> ${questions[0]!.question} </search>`)) whole += 1;
      const unseen = demonstrateOnText(questions[0]!, blind, random, plainManner);
      expect(unseen).toHaveLength(library.searches + 1);
      expect(unseen.at(-1)).toEqual({
        policy: '<think> No passage says it. </think>\n<answer> unknown </answer>',
        passages: [],
        supervised: true,
      });
    }
    expect(whole).toBeGreaterThan(140);
    expect(whole).toBeLessThan(200);
  });

  it('name a passage in which the answer was shown, the gold one before others', () => {
    const both: Library = {
      ...library,
      search: () =>
        [passages[2]!, passages[0]!].map((passage) => ({
          passage: { ...passage, text: `Hanover . ${passage.text}` },
          score: 1,
        })),
      // Of the passage on Hanover only the title is shown.
      shown: (found) => found.map(({ title, text }) => (title === 'Hanover' ? 'city' : text)).join(' '),
    };
    const last = (library: Library, question: Question) =>
      demonstrateOnText(question, library, new Random(streamKey('test')), plainManner).at(-1)!.policy;
    expect(last(both, { ...questions[0]!, goldIds: [] })).toContain('The passage on William Herschel says it.');
    const all: Library = { ...both, shown: (found) => found.map(({ text }) => text).join(' ') };
    expect(last(all, { ...questions[0]!, goldIds: [] })).toContain('The passage on Hanover says it.');
    expect(last(all, questions[0]!)).toContain('The passage on William Herschel says it.');
  });

  it('need evidence that contains a short answer as whole words', () => {
    const [question] = questions;
    expect(isDemonstrable(question!, library)).toBe(true);
    expect(isDemonstrable({ ...question!, answers: ['Han'] }, library)).toBe(false);
    expect(isDemonstrable({ ...question!, answers: [passages[0]!.text] }, library)).toBe(false);
    const { goldIds: _, ...unknown } = question!;
    expect(isDemonstrable(unknown, library)).toBe(false);
  });
});

describe('examples of files', () => {
  const template: Template = {
    name: 'test',
    student: 'Question: {question} Work:',
    teacher: 'Question: {question} Expert: {expert} Work:',
    chat: false,
    observation: ' <information> {passages} </information> ',
    passage: '{title} : {text}',
    separator: ' ',
    nothingFound: 'nothing',
    invalidAction: ' <information> invalid </information> ',
  };
  const recipe: Recipe = { ...worldRecipe, lookup: { searches: 2, passages: 1, observationTokens: 40 } };
  let folder: string;
  const inputs = () => ({
    questions: path.join(folder, 'questions.jsonl'),
    corpus: path.join(folder, 'corpus.jsonl'),
    tokenizer: path.join(folder, 'tokenizer.json'),
    template,
  });
  const lines = (values: readonly object[]) => values.map((value) => JSON.stringify(value)).join('\n');

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'files-source-'));
    const rows = questions.map(({ goldIds, ...question }) => ({ ...question, gold_ids: goldIds }));
    await writeFile(inputs().questions, lines(rows));
    await writeFile(inputs().corpus, lines(passages));
    const words = new Set(
      [...passages, ...questions].flatMap((entry) => Object.values(entry).flat().join(' ').split(/\s+/)),
    );
    for (const word of 'Question: Answer: Work: Expert: nothing I have to look this up. guess. The passage on says it. : make sure. should That does not answer it continues " William'.split(
      ' ',
    ))
      words.add(word);
    const tags = ['think', 'search', 'information', 'answer'].flatMap((tag) => [`<${tag}>`, `</${tag}>`]);
    await writeFile(inputs().tokenizer, wordTokenizerJson([...words], ['<unk>', ...tags]));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('hold demonstrations under both prompts, and reading exercises', async () => {
    const source = await filesSource(inputs(), recipe);
    const decode = (ids: readonly number[]) => source.tokenizer.decode(ids);
    const examples = await source.chunk({ kind: 'demonstrations', steps: 1, imitation: 0.5 }, 0, 0);
    const texts = examples.map(({ ids }) => decode(ids));
    expect(texts.filter((text) => text.includes('Expert: <think>')).length).toBeGreaterThan(50);
    expect(texts.filter((text) => text.includes('Work: <think>')).length).toBe(texts.length);
    const learned = examples.map(({ ids, weights }) => decode(ids.filter((_, t) => weights[t] === 1)));
    for (const text of learned) expect(text).not.toMatch(/<information>/);

    const reading = await source.chunk({ kind: 'reading', steps: 1, articles: 2, statements: 2 }, 0, 0);
    for (const { ids, weights } of reading) {
      expect(decode(ids)).toMatch(/Question: .* Answer: /);
      expect(weights).toContain(1);
      expect(weights).toHaveLength(ids.length);
    }
    expect(
      await (await filesSource(inputs(), recipe)).chunk({ kind: 'demonstrations', steps: 1, imitation: 0.5 }, 0, 0),
    ).toEqual(examples);
  });

  it('of a pretrained recipe keep questions from training, and end unknown in their share', async () => {
    const many = path.join(folder, 'many.jsonl');
    // The evidence of every third one is never found.
    const missed = { ...questions[0]!, question: 'the seventh planet', goldIds: ['p3'] };
    const rows = Array.from({ length: 12 }, (_, i) => {
      const { goldIds, ...rest } = [...questions, missed][i % 3]!;
      return { ...rest, id: `m${i}`, question: `${rest.question} ${i}`, gold_ids: goldIds };
    });
    await writeFile(many, lines(rows));
    const own: PretrainedRecipe = {
      ...pretrainedRecipe,
      lookup: { searches: 1, passages: 1, observationTokens: 40 },
      heldOut: { questions: 3, every: 1 },
      measured: { questions: 2, samples: 1 },
    };
    // Numbers are words of their own.
    const json = JSON.parse(await readFile(inputs().tokenizer, 'utf8'));
    const words = Object.keys(json.model.vocab).filter((word) => !/^</.test(word));
    const tags = ['think', 'search', 'information', 'answer'].flatMap((tag) => [`<${tag}>`, `</${tag}>`]);
    const tokenizer = path.join(folder, 'numbers.json');
    const numbers = Array.from({ length: 12 }, (_, i) => String(i));
    await writeFile(
      tokenizer,
      wordTokenizerJson(
        [...new Set([...words, ...numbers, 'unknown', 'No', 'passage', 'does', 'not', 'answer'])],
        ['<unk>', ...tags],
      ),
    );
    const source = await filesSource({ ...inputs(), questions: many, tokenizer }, own);
    const agent = { kind: 'agent', steps: 1, unknown: 0.25, imitation: 0 } as const;
    const numberIn = (ids: readonly number[]) => / (\d+) Work:/.exec(source.tokenizer.decode(ids))![1];
    const heldOut = source.heldOut!(agent).map(({ ids }) => numberIn(ids));
    expect(heldOut).toHaveLength(3);
    expect(source.heldOut!(agent)).toEqual(source.heldOut!(agent));
    const taught = (await source.chunk(agent, 1, 0)).map(({ ids }) => source.tokenizer.decode(ids));
    const numbersTaught = new Set((await source.chunk(agent, 1, 0)).map(({ ids }) => numberIn(ids)));
    expect(numbersTaught.size).toBe(12 - 3 - 2);
    for (const number of heldOut) expect(numbersTaught).not.toContain(number);
    const unknown = taught.filter((text) => text.includes('<answer> unknown')).length / taught.length;
    expect(unknown).toBeGreaterThan(0.15);
    expect(unknown).toBeLessThan(0.35);
    // Of those that answer, so many are shown it by a second search only: the words of every other question find another river's passage.
    const indirect = 'what does the river that flows into the Aller leave behind in Hanover';
    const hidden = { question: indirect, answers: ['city'], gold_ids: ['p3'] };
    await writeFile(
      path.join(folder, 'hidden.jsonl'),
      lines(rows.map((row, i) => (i % 2 === 0 ? row : { id: row.id, ...hidden }))),
    );
    const patient = await filesSource(
      { ...inputs(), tokenizer, questions: path.join(folder, 'hidden.jsonl') },
      { ...own, lookup: { ...own.lookup, searches: 2 } },
    );
    const shareLater = async (later: number) => {
      const phase = { ...agent, unknown: 0, later };
      const texts = (await patient.chunk(phase, 1, 0)).map(({ ids }) => patient.tokenizer.decode(ids));
      return texts.filter((text) => / not answer /.test(text)).length / texts.length;
    };
    expect(await shareLater(0)).toBe(0);
    expect(await shareLater(0.6)).toBeGreaterThan(0.5);
    expect(await shareLater(0.6)).toBeLessThan(0.7);
    // The reader's prompt is not the agent's.
    const mixed = await source.chunk({ ...agent, reader: 0.4 }, 1, 0);
    const reading = mixed.filter(({ ids }) => !source.tokenizer.decode(ids).includes('Work:')).length / mixed.length;
    expect(reading).toBeGreaterThan(0.3);
    expect(reading).toBeLessThan(0.5);
    const few = { ...own, heldOut: { questions: 5, every: 1 } };
    await expect(filesSource({ ...inputs(), questions: many, tokenizer }, few)).rejects.toThrow(
      /7 of them are to be kept/,
    );
  });

  it('need questions with evidence in the corpus', async () => {
    const bare = path.join(folder, 'bare.jsonl');
    await writeFile(bare, lines(questions.map(({ goldIds: _, ...question }) => question)));
    await expect(filesSource({ ...inputs(), questions: bare }, recipe)).rejects.toThrow(
      /no question can be demonstrated/,
    );
  });

  it('are refused when they cannot fit the context', async () => {
    const source = await filesSource(inputs(), { ...recipe, model: { ...recipe.model, contextLength: 8 } });
    await expect(source.chunk({ kind: 'demonstrations', steps: 1, imitation: 0 }, 0, 0)).rejects.toThrow(
      /longer than the model's context/,
    );
  });
});
