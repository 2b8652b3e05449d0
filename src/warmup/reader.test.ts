import { describe, expect, it } from 'vitest';
import type { Question } from '../base/question.ts';
import { Random, streamKey } from '../base/random.ts';
import { rag } from '../baselines/rag.ts';
import { BaselineSession } from '../baselines/session.ts';
import { fakeModel } from '../baselines/testing/fake-model.ts';
import { documents } from '../baselines/words.ts';
import { testTokenizer } from '../protocol/testing/tokenizer.ts';
import { Bm25Index } from '../retrieval/bm25.ts';
import type { Passage } from '../retrieval/retriever.ts';
import { defaultDeadlines, defaultLimits } from '../rollout/turns.ts';
import { readerExample, readerExercise } from './reader.ts';
import type { Library } from './real-demonstrations.ts';

const passages: Passage[] = [
  { id: 'p1', title: 'William Herschel', text: 'William Herschel was born in Hanover in 1738 and found Uranus .' },
  { id: 'p2', title: 'Caroline Herschel', text: 'Caroline Herschel was born in 1750 , a sister of William .' },
  { id: 'p3', title: 'John Herschel', text: 'John Herschel was born in Slough , the son of William Herschel .' },
  { id: 'p4', title: 'Herschel Island', text: 'Herschel Island was named after John , not after William .' },
  { id: 'p5', title: 'Hanover', text: 'William Herschel , born in Hanover , left it early .' },
];
const question: Question = {
  id: 'q1',
  dataset: 'test',
  question: 'where was William Herschel born',
  answers: ['Hanover'],
  goldIds: ['p1'],
};
const index = new Bm25Index(passages, { analyzer: 'english' });
const library: Library = {
  passage: (id) => passages.find((passage) => passage.id === id),
  search: (query, count = 2) => index.searchNow(query, count),
  shown: (found) => found.map(({ title, text }) => `${title} ${text}`).join(' '),
  searches: 1,
};
const exercise = (seed: number, unknown: number, tokens = 200) => {
  const phase = { kind: 'reader', steps: 1, passages: 2, unknown } as const;
  return readerExercise(phase, question, library, tokens, new Random(streamKey('test', seed)));
};

describe('a reading exercise', () => {
  it('shows the gold passage at any place, among others that do not have the answer', () => {
    const places = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const { documents: shown, answer } = exercise(seed, 0);
      expect(answer).toBe('Hanover');
      // The fifth passage has the answer too: as a distractor it would teach nothing.
      expect(shown.match(/Hanover/g)).toHaveLength(1);
      places.add(shown.split('\n').findIndex((line) => line.includes('found Uranus')));
    }
    expect([...places].sort()).toEqual([0, 1]);
  });

  it('says unknown where no passage has the answer, in the share asked for', () => {
    const answers = Array.from({ length: 300 }, (_, seed) => exercise(seed, 0.3));
    for (const { documents: shown, answer } of answers) expect(shown.includes('Hanover')).toBe(answer === 'Hanover');
    const share = answers.filter(({ answer }) => answer === 'unknown').length / answers.length;
    expect(share).toBeGreaterThan(0.2);
    expect(share).toBeLessThan(0.4);
  });

  it('puts the gold passage first where the documents are cut before its answer, and gives no answer that was cut off', () => {
    // 25 tokens are 100 characters: one passage and a bit.
    for (let seed = 0; seed < 20; seed++) expect(exercise(seed, 0, 25).documents).toMatch(/^Doc 1\(Title: William/);
    for (let seed = 0; seed < 20; seed++) expect(exercise(seed, 0, 5).answer).toBe('unknown');
  });

  it("has the prompt of single-search RAG to the letter, and teaches the answer and the turn's end alone", async () => {
    const tokenizer = testTokenizer();
    const shown = documents(passages.slice(0, 2), 200);
    const { ids, weights } = readerExample(tokenizer, question.question, { documents: shown, answer: 'Hanover' });
    const asked: string[] = [];
    const session = new BaselineSession(
      {
        model: fakeModel((prompt) => {
          asked.push(prompt);
          return 'x';
        }),
        retriever: { search: async () => [passages.slice(0, 2).map((passage) => ({ passage, score: 1 }))] },
        limits: { ...defaultLimits, observationTokens: 200 },
        deadlines: defaultDeadlines,
        temperature: 0,
        seed: 1,
      },
      question.id,
    );
    await rag.answer(question.question, session);
    const chat = tokenizer.chat(asked[0]!);
    const read = tokenizer.decode(ids.filter((_, t) => weights[t] === 0));
    expect(read).toBe(chat ?? tokenizer.decode(tokenizer.start) + asked[0]!);
    const learned = ids.filter((_, t) => weights[t] === 1);
    expect(tokenizer.decode(learned).trim().startsWith('Hanover')).toBe(true);
    expect(learned.at(-1)).toBe(tokenizer.endTokens[0] ?? learned.at(-1));
  });
});
