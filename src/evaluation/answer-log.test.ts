import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerKey } from './answer.ts';
import { AnswerLog, keep, mendTornLine, readAnswers } from './answer-log.ts';
import { answersOf, makeAnswer, makeQuestions } from './testing/fixtures.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'answer-log-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const questions = makeQuestions('s', 40);
const line = (value: unknown) => `${JSON.stringify(value)}\n`;

describe('a log of answers', () => {
  it('is nothing where there is no file', async () => {
    expect((await readAnswers(path.join(folder, 'none.jsonl'))).size).toBe(0);
    await mendTornLine(path.join(folder, 'none.jsonl'));
  });

  it('holds what was appended, in order, however many are under way at once', async () => {
    const file = path.join(folder, 'many.jsonl');
    const log = new AnswerLog(file);
    const answers = questions.map((question) => makeAnswer(question));
    await Promise.all(answers.map((answer) => log.append(answer)));
    expect(await readFile(file, 'utf8')).toBe(answers.map(line).join(''));
    expect(await readAnswers(file)).toEqual(answersOf(answers));
  });

  it('has an answer on the disk when it says so', async () => {
    const file = path.join(folder, 'one.jsonl');
    const log = new AnswerLog(file);
    for (const question of questions.slice(0, 3)) {
      const answer = makeAnswer(question);
      await log.append(answer);
      expect((await readFile(file, 'utf8')).endsWith(line(answer))).toBe(true);
    }
  });

  it('says which file cannot be written, and goes on when it can again', async () => {
    const log = new AnswerLog(path.join(folder, 'missing', 'answers.jsonl'));
    await expect(log.append(makeAnswer(questions[0]!))).rejects.toThrow(/missing\/answers\.jsonl: no such file/);
    await expect(log.append(makeAnswer(questions[0]!))).rejects.toThrow('no such file');
  });

  it('loses a torn line, wherever it was torn, and nothing before it', async () => {
    const file = path.join(folder, 'torn.jsonl');
    const whole = questions.slice(0, 3).map((question) => line(makeAnswer(question, { answer: 'gold é 🎼' })));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: Buffer.byteLength(whole[2]!) - 1 }), async (bytes) => {
        const kept = Buffer.from(whole[0]! + whole[1]!);
        await writeFile(file, Buffer.concat([kept, Buffer.from(whole[2]!).subarray(0, bytes)]));
        await mendTornLine(file);
        expect(await readFile(file)).toEqual(kept);
        expect((await readAnswers(file)).size).toBe(2);
      }),
      { numRuns: 30 },
    );
  });

  it('loses a torn first line, and one that is longer than what is read at once', async () => {
    const file = path.join(folder, 'long.jsonl');
    await writeFile(file, '{"half a li');
    await mendTornLine(file);
    expect(await readFile(file, 'utf8')).toBe('');
    const answer = makeAnswer(questions[0]!);
    await writeFile(file, `${line(answer)}{"${'x'.repeat(200_000)}`);
    await mendTornLine(file);
    expect(await readFile(file, 'utf8')).toBe(line(answer));
  });

  it('names file and line of what is no answer', async () => {
    const file = path.join(folder, 'wrong.jsonl');
    await writeFile(file, line(makeAnswer(questions[0]!)) + line({ schema: 1, id: 7 }));
    await expect(readAnswers(file)).rejects.toThrow(/wrong\.jsonl:2 at baseline/);
    await writeFile(file, 'no json\n');
    await expect(readAnswers(file)).rejects.toThrow(/wrong\.jsonl:1: not valid JSON/);
  });
});

describe('of several lines about one question', () => {
  const question = questions[0]!;
  const right = makeAnswer(question);
  const wrong = makeAnswer(question, { answer: 'tin' });
  const failed = makeAnswer(question, { answer: null, stop: 'deadline', failure: 'late' });
  const last = (...answers: (typeof right)[]) => {
    const kept = new Map();
    for (const answer of answers) keep(kept, answer);
    expect(kept.size).toBe(1);
    return kept.get(answerKey(right));
  };

  it('the last counts, but a failure never takes the place of an answer', () => {
    expect(last(wrong, right)).toBe(right);
    expect(last(failed, right)).toBe(right);
    expect(last(right, failed)).toBe(right);
    expect(last(failed, failed)).toBe(failed);
    expect(last(right, failed, wrong)).toBe(wrong);
  });

  it('other baselines and suites are other questions', () => {
    const keys = [
      right,
      { ...right, baseline: 'direct' as const },
      { ...right, suite: 't' },
      { ...right, id: 'x' },
    ].map(answerKey);
    expect(new Set(keys).size).toBe(4);
    // No two are confused by what their names are made of.
    expect(answerKey({ ...right, suite: 'a","b', id: 'c' })).not.toBe(answerKey({ ...right, suite: 'a', id: 'b","c' }));
  });
});
