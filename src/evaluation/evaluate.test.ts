import { describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import type { Answer } from './answer.ts';
import { evaluationTasks, openTasks, type Solver, workOff } from './evaluate.ts';
import { resultsOf } from './measure.ts';
import { answersOf, makeAnswer, makeAttempt, makeConditions, makeSuites } from './testing/fixtures.ts';

const suites = makeSuites({ a: 6, b: 4 });
const tasks = evaluationTasks(['direct', 'agent'], suites);
const patience = () => new AbortController().signal;
const gather = () => {
  const answers: Answer[] = [];
  return { answers, record: async (answer: Answer) => void answers.push(answer) };
};

describe('working off', () => {
  it('asks every question of every baseline once, as many at a time as allowed', async () => {
    let [open, most] = [0, 0];
    const solve: Solver = async () => {
      open += 1;
      most = Math.max(most, open);
      await new Promise((resolve) => setImmediate(resolve));
      open -= 1;
      return makeAttempt();
    };
    const { answers, record } = gather();
    await workOff(tasks, solve, { concurrency: 3, signal: patience(), record });
    expect(most).toBe(3);
    expect(new Set(answersOf(answers).keys()).size).toBe(20);
    expect(answers).toHaveLength(20);
  });

  it('gives the same results in any order of ending', async () => {
    const run = async (concurrency: number, delay: (i: number) => number) => {
      let i = 0;
      const solve: Solver = async ({ question }) => {
        await new Promise((resolve) => setTimeout(resolve, delay(i++)));
        return makeAttempt({ answer: question.id.endsWith('2') ? 'tin' : 'gold' });
      };
      const { answers, record } = gather();
      await workOff(tasks, solve, { concurrency, signal: patience(), record });
      return JSON.stringify(resultsOf(makeConditions(suites), ['direct', 'agent'], suites, answersOf(answers)));
    };
    expect(await run(7, (i) => (i * 7) % 5)).toBe(await run(1, () => 0));
  });

  it('asks again what is missing or failed, and nothing else', () => {
    const [first, second] = suites[0]!.questions;
    const done = answersOf([makeAnswer(first!), makeAnswer(second!, { stop: 'sample-failed', answer: null })]);
    const open = openTasks(evaluationTasks(['agent'], suites), done);
    expect(open).toHaveLength(9);
    expect(open.map(({ question }) => question.id)).not.toContain(first!.id);
    expect(open.map(({ question }) => question.id)).toContain(second!.id);
  });

  it('stops at the signal and records nothing that was cut off', async () => {
    const stop = new AbortController();
    let asked = 0;
    const solve: Solver = async () => {
      asked += 1;
      if (asked === 5) stop.abort(new Error('enough'));
      return makeAttempt(stop.signal.aborted ? { stop: 'cancelled', answer: null } : {});
    };
    const { answers, record } = gather();
    await expect(workOff(tasks, solve, { concurrency: 1, signal: stop.signal, record })).rejects.toThrow('enough');
    expect(answers).toHaveLength(4);
  });

  it('gives up when nothing but failures comes back', async () => {
    const many = evaluationTasks(['agent'], makeSuites({ a: 200 }));
    const solve: Solver = async () => makeAttempt({ stop: 'sample-failed', answer: null, failure: 'no server' });
    const { answers, record } = gather();
    const working = workOff(many, solve, { concurrency: 4, signal: patience(), record });
    await expect(working).rejects.toThrow(UserError);
    await expect(working).rejects.toThrow(/25 questions in a row failed.*no server/);
    expect(answers.length).toBeLessThan(35);
  });

  it('passes on errors of this program', async () => {
    const solve: Solver = async () => Promise.reject(new TypeError('a defect'));
    const { record } = gather();
    await expect(workOff(tasks, solve, { concurrency: 4, signal: patience(), record })).rejects.toThrow('a defect');
  });
});

describe('results', () => {
  it('leave failures out of every figure and count them', () => {
    const [a, b] = suites;
    const answers = [
      makeAnswer(a!.questions[0]!, { newTokens: 10 }),
      makeAnswer(a!.questions[1]!, { answer: 'golden gold', newTokens: 20 }),
      makeAnswer(a!.questions[2]!, { answer: null, stop: 'no-answer', newTokens: 30, wellFormed: false }),
      makeAnswer(a!.questions[3]!, { answer: 'gold', stop: 'deadline', failure: 'late', newTokens: 99 }),
      ...b!.questions.map((question) => makeAnswer(question)),
    ];
    const { rows } = resultsOf(makeConditions(suites), ['agent'], suites, answersOf(answers));
    const [row] = rows;
    const [first, second] = row!.suites;
    expect(first).toMatchObject({ questions: 4, failures: 1, unanswered: 1 });
    // By hand: 1, 0, 0 and 1, 2/3, 0.
    expect(first!.exactMatch!.mean).toBe(1 / 3);
    expect(first!.f1!.mean).toBeCloseTo((1 + 2 / 3) / 3, 12);
    expect(first!.substring!.mean).toBe(2 / 3);
    expect(first!.newTokens!.mean).toBe(20);
    expect(first!.wellFormed!.mean).toBeCloseTo(2 / 3, 12);
    expect(first!.recall).toBeNull();
    expect(second!.exactMatch!.mean).toBe(1);
    expect(row!.macro.exactMatch!.mean).toBeCloseTo(2 / 3, 12);
    expect(row!.micro.exactMatch!.mean).toBe(5 / 7);
  });

  it('ask recall of titles and texts that were found', () => {
    const [question] = suites[0]!.questions;
    const found = (title: string, text: string) => ({
      searches: [{ query: 'x', hits: [{ passage: { id: '1', title, text }, score: 1 }] }],
    });
    expect(makeAnswer(question!, found('Gold', 'a metal')).recall).toBe(1);
    expect(makeAnswer(question!, found('Metal', 'of GOLD.')).recall).toBe(1);
    expect(makeAnswer(question!, found('Metal', 'of tin')).recall).toBe(0);
    expect(makeAnswer(question!, { searches: [{ query: 'x', hits: [] }] }).recall).toBe(0);
    expect(makeAnswer(question!).recall).toBeNull();
  });
});
