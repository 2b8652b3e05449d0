import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerKey } from './answer.ts';
import { mendTornLine, readAnswers } from './answer-log.ts';
import { EvaluationDirectory, readEvaluation } from './evaluation-directory.ts';
import { resultsOf } from './measure.ts';
import { makeAnswer, makeConditions, makeSuites } from './testing/fixtures.ts';

const suites = makeSuites({ a: 3 });
const conditions = makeConditions(suites);
const [first, second, third] = suites[0]!.questions.map((question) => makeAnswer(question));

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'evaluation-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('an evaluation directory', () => {
  it('keeps every answer, and is continued by the same conditions', async () => {
    const folder = path.join(root, 'kept');
    const one = await EvaluationDirectory.open(folder, conditions);
    await Promise.all([one.record(first!), one.record(second!)]);
    await expect(EvaluationDirectory.open(folder, conditions)).rejects.toThrow('in use by process');
    await one.close();
    const two = await EvaluationDirectory.open(folder, { ...conditions, versions: { 'search-e1': '9.9.9' } });
    expect([...two.answers.keys()]).toEqual([answerKey(first!), answerKey(second!)]);
    // The versions that it began with stay on record.
    expect(two.conditions).toEqual(conditions);
    await two.record(third!);
    const results = resultsOf(two.conditions, ['agent'], suites, two.answers);
    await two.writeResults(results);
    await two.close();
    const read = await readEvaluation(folder);
    expect(read.results).toEqual(results);
    expect(read.answers.size).toBe(3);
  });

  it('refuses other conditions and says what differs', async () => {
    const folder = path.join(root, 'other');
    await (await EvaluationDirectory.open(folder, conditions)).close();
    const others = makeConditions(makeSuites({ a: 4 }), { decoding: { temperature: 1, seed: 1 } });
    await expect(EvaluationDirectory.open(folder, others)).rejects.toThrow(
      /other conditions\n {2}suites\.a\.questions: 3 there, 4 now\n[\s\S]*decoding\.temperature: 0 there, 1 now/,
    );
    // The refusal left nothing locked.
    await (await EvaluationDirectory.open(folder, conditions)).close();
  });

  it('refuses a folder that holds something else, and one that is not finished', async () => {
    const letter = path.join(root, 'letter');
    await (await EvaluationDirectory.open(letter, conditions)).close();
    await expect(readEvaluation(letter)).rejects.toThrow('not finished');
    await expect(EvaluationDirectory.open(root, conditions)).rejects.toThrow('is not empty');
    await expect(readEvaluation(root)).rejects.toThrow('not an evaluation');
  });

  it.each([
    ['a line that is no answer', '{"schema":1}\n', /answers\.jsonl:1 at baseline/],
    ['broken JSON inside', '{"schema\n{}\n', /answers\.jsonl:1: not valid JSON/],
  ])('names file and line of %s', async (name, text, message) => {
    const folder = path.join(root, name);
    await (await EvaluationDirectory.open(folder, conditions)).close();
    await writeFile(path.join(folder, 'answers.jsonl'), text);
    await expect(EvaluationDirectory.open(folder, conditions)).rejects.toThrow(message);
  });
});

describe('the log', () => {
  it('loses at most the line that was being written when the process was killed', async () => {
    const folder = path.join(root, 'torn');
    const directory = await EvaluationDirectory.open(folder, conditions);
    await directory.record(first!);
    await directory.record(second!);
    await directory.close();
    const file = path.join(folder, 'answers.jsonl');
    const whole = await readFile(file, 'utf8');
    for (const cut of [whole.length - 1, whole.length - 40, whole.indexOf('\n') + 2, whole.indexOf('\n') + 1, 7, 0]) {
      await writeFile(file, whole.slice(0, cut));
      await mendTornLine(file);
      const lines = whole.slice(0, cut).split('\n').length - 1;
      expect((await readAnswers(file)).size).toBe(lines);
    }
  });

  it('mends a torn line that is longer than it reads at a time', async () => {
    const file = path.join(root, 'long.jsonl');
    await writeFile(file, '{"a":1}\n');
    await appendFile(file, `{"b":"${'x'.repeat(200_000)}`);
    await mendTornLine(file);
    expect(await readFile(file, 'utf8')).toBe('{"a":1}\n');
    await mendTornLine(path.join(root, 'none.jsonl'));
  });

  it('takes the last answer of a question, but no failure in the place of an answer', async () => {
    const folder = path.join(root, 'again');
    const question = suites[0]!.questions[0]!;
    const directory = await EvaluationDirectory.open(folder, conditions);
    const failed = makeAnswer(question, { stop: 'sample-failed', answer: null, failure: 'x' });
    await directory.record(failed);
    expect(directory.answers.get(answerKey(failed))!.stop).toBe('sample-failed');
    await directory.record(makeAnswer(question));
    await directory.record(failed);
    expect(directory.answers.get(answerKey(failed))!.stop).toBe('answered');
    await directory.close();
    expect((await readAnswers(path.join(folder, 'answers.jsonl'))).get(answerKey(failed))!.stop).toBe('answered');
  });
});
