import { describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import type { Retriever } from '../retrieval/retriever.ts';
import { rollOutCompletely } from './complete-rollouts.ts';
import { groupTasks, rollOut } from './rollouts.ts';
import { around, findsAll, hitsOf, inTurns, question } from './testing/environment.ts';

const questions = Array.from({ length: 10 }, (_, i) => question(`q${i}`));
const tasks = groupTasks(questions, 2, { seed: 5, stage: 'grpo-1', step: 2 });
const script = () => inTurns('<search> a thing </search>', '<answer> gold </answer>');
const options = { name: 'grpo-1', mostFailed: () => 0.1, concurrency: 3 };

/** Searches fail by their number, from 0. */
function failing(when: (search: number) => boolean): Pick<Retriever, 'search'> {
  let count = 0;
  return {
    search: async (queries) => {
      if (when(count++)) throw new Error('connection refused');
      return queries.map(hitsOf);
    },
  };
}

describe('rollouts that are learned from or measured', () => {
  it('ask again what failed outside, and come to what would have been without the failure', async () => {
    const whole = await rollOut(tasks, around(script()));
    const notes: string[] = [];
    const done: number[] = [];
    const retriever = failing((search) => search % 3 === 0 && search < 6);
    const found = await rollOutCompletely(tasks, around(script(), { retriever }), {
      ...options,
      onAgain: (note) => notes.push(note),
      onDone: (_, index) => done.push(index),
    });
    expect(found).toEqual(whole);
    expect(notes[0]).toMatch(
      /grpo-1: \d+ of 20 rollouts failed, the first one \(q\d\) by search-failed: connection ref/,
    );
    // Progress counts every task once.
    expect(done.toSorted((a, b) => a - b)).toEqual(tasks.map((_, i) => i));
  });

  it('keep a few failures that last as failures', async () => {
    const retriever: Pick<Retriever, 'search'> = {
      search: async (queries) => {
        if (queries.some((query) => query.includes('impossible'))) throw new Error('this query is refused');
        return queries.map(hitsOf);
      },
    };
    const says = (context: string) =>
      context.includes('</information>')
        ? '<answer> gold </answer>'
        : `<search> ${context.includes('what is q3 ?') ? 'impossible' : 'a thing'} </search>`;
    const found = await rollOutCompletely(tasks, around(says, { retriever }), { ...options, concurrency: 1 });
    expect(found.filter(({ stop }) => stop === 'search-failed').map(({ questionId }) => questionId)).toEqual([
      'q3',
      'q3',
    ]);
    // As a measurement that is too much: 2 of 20 are more than 1 in 100.
    const measured = rollOutCompletely(tasks, around(says, { retriever }), {
      ...options,
      concurrency: 1,
      mostFailed: () => 0.01,
    });
    await expect(measured).rejects.toThrow(/grpo-1: 2 of 20 rollouts failed, .*\(q3\).*this query is refused/);
    await expect(measured).rejects.toMatchObject({ continues: true, hint: expect.stringContaining('retriever') });
  });

  it('judge each kind by its own share when several are under way together', async () => {
    const retriever = failing(() => true);
    const answers = (context: string) =>
      context.includes('what is q9 ?') ? '<search> a thing </search>' : '<answer> gold </answer>';
    // q9's two rollouts fail: a tenth of all, but all of the second kind.
    const mostFailed = (index: number) => (index < 18 ? 0.1 : 0.5);
    const mixed = rollOutCompletely(tasks, around(answers, { retriever }), { ...options, mostFailed });
    await expect(mixed).rejects.toThrow('2 of 2 rollouts failed');
  });

  it('stop at the first failure of the engine: it is no answer, and what comes after it is none either', async () => {
    let asked = 0;
    const broken = around(async () => {
      asked += 1;
      if (asked > 4) throw new Error('EMFILE: too many open files');
      return '<answer> gold </answer>';
    });
    const stopped = rollOutCompletely(tasks, broken, options);
    await expect(stopped).rejects.toThrow(/grpo-1: the engine failed at question q\d: EMFILE/);
    await expect(stopped).rejects.toBeInstanceOf(UserError);
    await expect(stopped).rejects.toMatchObject({ continues: true });
    expect(asked).toBeLessThan(4 + 2 * options.concurrency);
  });

  it('are none when they are called off', async () => {
    const controller = new AbortController();
    const waiting = around(async () => {
      controller.abort(new Error('stopped by SIGINT'));
      return '<answer> gold </answer>';
    });
    const called = rollOutCompletely(
      tasks,
      { ...waiting, retriever: findsAll },
      { ...options, signal: controller.signal },
    );
    await expect(called).rejects.toThrow('stopped by SIGINT');
  });

  it('of nothing are nothing', async () => {
    expect(await rollOutCompletely([], around(script()), options)).toEqual([]);
  });
});
