import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UserError } from '../base/errors.ts';
import { questionsHash, readQuestions } from './questions.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'questions-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function questionFile(lines: (object | string)[], name = 'nq.test.jsonl'): Promise<string> {
  const file = path.join(folder, name);
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  await writeFile(file, name.endsWith('.gz') ? gzipSync(text) : text);
  return file;
}

const ROW = { id: 'q1', dataset: 'nq', question: 'who?', answers: ['x', 'y'] };

test('a full line', async () => {
  const file = await questionFile([{ ...ROW, hops: 2, gold_ids: ['p1'], split: 'dev', supporting_titles: ['T'] }]);
  expect(await readQuestions(file)).toEqual([{ ...ROW, hops: 2, goldIds: ['p1'] }]);
});

test.each([
  ["FlashRAG's golden_answers", { id: 'q1', question: 'who?', golden_answers: ['x', 'y'], metadata: {} }, ['x', 'y']],
  ['a single answer', { id: 'q1', question: 'who?', answer: 'x' }, ['x']],
  [
    'null counts as absent',
    { id: 'q1', dataset: null, question: 'who?', answers: null, answer: 'x', hops: null },
    ['x'],
  ],
  ['a number as id', { id: 1, question: 'who?', answers: ['x'] }, ['x']],
])('%s; the dataset is named after the file', async (_name, line, answers) => {
  const file = await questionFile([line], 'my-set.dev.jsonl.gz');
  expect(await readQuestions(file)).toEqual([
    { id: String(line.id), dataset: 'my-set.dev', question: 'who?', answers },
  ]);
});

describe('errors name file, line and field', () => {
  test.each<[string, (object | string)[], string]>([
    ['no question at all', [''], 'nq.test.jsonl: no questions'],
    ['not JSON', [ROW, '', '{"id":'], 'nq.test.jsonl:3: not valid JSON'],
    ['not an object', ['3'], 'nq.test.jsonl:1: Invalid input: expected object, received number'],
    ['no id', [{ question: 'who?', answers: ['x'] }], 'nq.test.jsonl:1: id: expected a non-empty string'],
    ['an empty id', [{ ...ROW, id: '' }], 'nq.test.jsonl:1: id: expected'],
    ['no question', [{ ...ROW, question: undefined }], 'nq.test.jsonl:1: question: Invalid input: expected string'],
    ['a blank question', [{ ...ROW, question: ' ' }], 'nq.test.jsonl:1: question: expected a text that is not blank'],
    ['no answers', [ROW, { id: 'q2', question: 'who?' }], 'nq.test.jsonl:2: answers: expected a list'],
    ['an empty list', [{ ...ROW, answers: [] }], 'nq.test.jsonl:1: answers: expected at least one answer'],
    ['an empty answer', [{ ...ROW, answers: ['x', ''] }], 'nq.test.jsonl:1: answers.1: expected a text that is not'],
    ['an answer of another type', [{ ...ROW, answers: [1972] }], 'nq.test.jsonl:1: answers.0: Invalid input'],
    ['answers as a string', [{ ...ROW, answers: 'x' }], 'nq.test.jsonl:1: answers: Invalid input: expected array'],
    [
      'an empty list of golden_answers',
      [{ ...ROW, answers: null, golden_answers: [] }],
      ':1: golden_answers: expected',
    ],
    ['a repeated id', [ROW, { ...ROW, question: 'when?' }], 'nq.test.jsonl:2: id: "q1" occurs a second time'],
  ])('%s', async (_name, lines, message) => {
    const error = await readQuestions(await questionFile(lines)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toContain(message);
  });

  test('a missing file', async () => {
    await expect(readQuestions(path.join(folder, 'none.jsonl'))).rejects.toThrow('none.jsonl: no such file');
  });
});

describe('hash', () => {
  test('is the SHA-256 of the documented lines', () => {
    // printf '["q1","nq","who?",["x","y"]]\n' | sha256sum
    expect(questionsHash([ROW])).toBe('aed602abee485c899c997f21bdc542eff64511cba5af0da14cb30ecd5ebcef19');
  });

  test('differs when anything that decides a score changes', () => {
    const other = { ...ROW, id: 'q2' };
    const variants = [
      [ROW, other],
      [other, ROW],
      [ROW],
      [{ ...ROW, answers: ['xy'] }],
      [{ ...ROW, question: 'who' }],
      [{ ...ROW, dataset: 'n' }],
    ];
    expect(new Set(variants.map(questionsHash)).size).toBe(variants.length);
  });
});

const shared = process.env.SEARCH_E1_SHARED ?? '../shared';
const data = path.join(shared, 'data/questions');

describe.skipIf(!existsSync(data))(`the files of ${data} (skipped where they are absent)`, () => {
  test.each([
    ['nq.test', 3_610, 2_716],
    ['triviaqa.test-subset', 1_188, 0],
    ['popqa.test-subset', 1_972, 0],
    ['hotpotqa.dev', 7_405, 200],
    ['2wikimultihopqa.dev', 12_576, 164],
    ['musique.dev', 2_417, 200],
    ['bamboogle.test', 125, 0],
    ['nq.train', 7_145, 7_145],
    ['multihop.train', 30_464, 700],
  ])('%s: %d questions, %d with gold passages', async (name, count, withGold) => {
    const questions = await readQuestions(path.join(data, `${name}.jsonl.gz`));
    expect(questions).toHaveLength(count);
    expect(questions.filter((question) => question.goldIds !== undefined)).toHaveLength(withGold);
    expect(questionsHash(questions)).toMatch(/^[0-9a-f]{64}$/);
  });
});
