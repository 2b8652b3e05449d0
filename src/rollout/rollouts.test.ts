import { describe, expect, it } from 'vitest';
import { uniformAt } from '../base/random.ts';
import type { Retriever } from '../retrieval/retriever.ts';
import { groupTasks, rollOut } from './rollouts.ts';
import { around, findsAll, hitsOf, inTurns, question, task } from './testing/environment.ts';

const questions = Array.from({ length: 6 }, (_, i) => question(`q${i}`));
const tasks = groupTasks(questions, 3, { seed: 5, stage: 'grpo-1', step: 2 });

/** Draws its number of searches and its answer from its own stream; each turn takes a while that depends on `delay`. */
function drawing(delay: (rollout: string) => number) {
  return around(async (context, { key, offset, session }) => {
    await new Promise((resolve) => setTimeout(resolve, delay(session!)));
    const [searches, guess] = [Math.floor(uniformAt(key, 1000) * 4), Math.floor(uniformAt(key, offset!) * 1000)];
    return context.split('</information>').length <= searches
      ? `<search> thing ${guess} </search>`
      : `<answer> ${guess} </answer>`;
  });
}

describe('groupTasks', () => {
  it('goes question by question, each rollout with a stream of its own', () => {
    expect(tasks.map(({ question: { id }, rollout }) => `${id}.${rollout}`).slice(0, 4)).toEqual([
      'q0.0',
      'q0.1',
      'q0.2',
      'q1.0',
    ]);
    expect(new Set(tasks.map(({ key }) => key.join())).size).toBe(tasks.length);
    const later = groupTasks(questions, 3, { seed: 5, stage: 'grpo-1', step: 3 });
    expect(later.map(({ key }) => key)).not.toEqual(tasks.map(({ key }) => key));
  });
});

describe('rollOut', () => {
  it('gives the same trajectories in the order of the tasks, whatever the concurrency and the order of ending', async () => {
    const alone = await rollOut(
      tasks,
      drawing(() => 0),
      { concurrency: 1 },
    );
    expect(alone.map(({ questionId, rollout }) => `${questionId}.${rollout}`)).toEqual(
      tasks.map(({ question: { id }, rollout }) => `${id}.${rollout}`),
    );
    expect(new Set(alone.map(({ searches }) => searches.length)).size).toBeGreaterThan(1);
    for (const concurrency of [2, 7, 128]) {
      const ended: number[] = [];
      const delays = new Map<string, number>();
      const delay = (session: string) => {
        if (!delays.has(session)) delays.set(session, (tasks.length - delays.size) * 2);
        return delays.get(session)!;
      };
      const together = await rollOut(tasks, drawing(delay), { concurrency, onDone: (_, index) => ended.push(index) });
      expect(together).toEqual(alone);
      expect(ended.toSorted((a, b) => a - b)).toEqual(tasks.map((_, i) => i));
      if (concurrency === 128) expect(ended).not.toEqual(tasks.map((_, i) => i));
    }
  });

  it('keeps no more rollouts open than asked, and that many while some wait for a search', async () => {
    let [open, most] = [0, 0];
    const sessions = new Set<string>();
    const environment = around((_, { session }) => {
      if (!sessions.has(session!)) {
        sessions.add(session!);
        open += 1;
        most = Math.max(most, open);
      }
      return open % 2 === 0 ? '<search> x </search>' : '<answer> y </answer>';
    });
    await rollOut(tasks, environment, { concurrency: 4, onDone: () => (open -= 1) });
    expect(most).toBe(4);
    await expect(rollOut(tasks, environment, { concurrency: 0 })).rejects.toThrow(RangeError);
    expect(await rollOut([], environment)).toEqual([]);
  });

  it('asks the retriever once for the searches of one turn of the event loop', async () => {
    const calls: (readonly string[])[] = [];
    const retriever: Pick<Retriever, 'search'> = {
      search: async (queries) => {
        calls.push(queries);
        return queries.map(hitsOf);
      },
    };
    const script = inTurns('<search> egg </search>', '<answer> gold </answer>');
    const trajectories = await rollOut(tasks, around(script, { retriever }));
    expect(calls).toHaveLength(1);
    expect(calls[0]).toHaveLength(tasks.length);
    expect(trajectories).toEqual(
      await rollOut(tasks, around(inTurns('<search> egg </search>', '<answer> gold </answer>')), { concurrency: 1 }),
    );
  });

  it('lets a failing search end its own rollout only', async () => {
    const retriever: Pick<Retriever, 'search'> = {
      search: async (queries, k) => {
        if (queries.includes('bad')) throw new Error('cannot parse "bad"');
        return findsAll.search(queries, k);
      },
    };
    const script = (context: string) =>
      context.includes('</information>')
        ? '<answer> gold </answer>'
        : context.includes('q1')
          ? '<search> bad </search>'
          : '<search> x </search>';
    const trajectories = await rollOut(tasks, around(script, { retriever }));
    for (const { questionId, stop } of trajectories)
      expect(stop).toBe(questionId === 'q1' ? 'search-failed' : 'answered');
  });

  it('cancels what is open and what has not begun, and returns all of it', async () => {
    const controller = new AbortController();
    const silent = { search: () => new Promise<never>(() => {}) };
    const script = (context: string) => (/q[01] /.test(context) ? '<answer> gold </answer>' : '<search> x </search>');
    let done = 0;
    const trajectories = await rollOut(tasks, around(script, { retriever: silent }), {
      concurrency: 8,
      signal: controller.signal,
      onDone: () => {
        done += 1;
        if (done === 6) setImmediate(() => controller.abort());
      },
    });
    expect(trajectories.map(({ stop }) => stop)).toEqual(tasks.map((_, i) => (i < 6 ? 'answered' : 'cancelled')));
    const none = await rollOut(tasks, around(script), { signal: AbortSignal.abort() });
    expect(none.every(({ stop, ids }) => stop === 'cancelled' && ids.length === 0)).toBe(true);
  });

  it('rejects when this program errs, after all rollouts have stopped', async () => {
    const environment = around(inTurns('<answer> gold </answer>'));
    const onDone = () => {
      throw new Error('no space for the record');
    };
    await expect(rollOut([task('a'), task('b')], environment, { onDone })).rejects.toThrow('no space for the record');
    expect(environment.policy.released.length).toBeGreaterThan(0);
  });
});
