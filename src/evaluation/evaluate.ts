/** Asks every question of every suite by every baseline, many at once; what is on record already is not asked again. */
import { setMaxListeners } from 'node:events';
import { UserError } from '../base/errors.ts';
import type { Question } from '../base/question.ts';
import type { BaselineName } from '../baselines/all.ts';
import type { Attempt } from '../baselines/attempt.ts';
import { isFailure } from '../rollout/trajectory.ts';
import { type Answer, answerKey, type ScoredAnswer, scoreAttempt } from './answer.ts';
import type { EvaluationSuite } from './results.ts';

/** One question for one baseline. */
export interface EvaluationTask {
  readonly baseline: BaselineName;
  readonly suite: string;
  readonly question: Question;
}

/** Makes an attempt. Failures of model and retriever are the attempt's stop reason. */
export type Solver = (task: EvaluationTask, signal: AbortSignal) => Promise<Attempt>;

export interface EvaluateOptions {
  /** Questions under way at a time, ≥ 1. It changes speed only. */
  readonly concurrency: number;
  readonly signal: AbortSignal;
  /** Puts an answer on record; it counts once this resolves. */
  readonly record: (answer: Answer) => Promise<void>;
}

/** So many failures one after another, and nothing else in between, mean that server or retriever are gone. */
const MOST_FAILURES_IN_A_ROW = 25;

/** Baseline by baseline, suite by suite. */
export function evaluationTasks(
  baselines: readonly BaselineName[],
  suites: readonly EvaluationSuite[],
): EvaluationTask[] {
  return baselines.flatMap((baseline) =>
    suites.flatMap(({ name: suite, questions }) => questions.map((question) => ({ baseline, suite, question }))),
  );
}

/** The tasks that have no answer yet, or a failed one. */
export function openTasks(
  tasks: readonly EvaluationTask[],
  answers: ReadonlyMap<string, ScoredAnswer>,
): EvaluationTask[] {
  return tasks.filter(({ baseline, suite, question }) => {
    const answer = answers.get(answerKey({ baseline, suite, id: question.id }));
    return answer === undefined || isFailure(answer.stop);
  });
}

/**
 * Works off the tasks. Rejects with the signal's reason when that is aborted (what was recorded stays, what was under way is
 * asked again), and with a UserError when nothing but failures comes back.
 */
export async function workOff(
  tasks: readonly EvaluationTask[],
  solve: Solver,
  { concurrency, signal, record }: EvaluateOptions,
): Promise<void> {
  const stop = new AbortController();
  // Every attempt under way listens to it.
  setMaxListeners(0, stop.signal);
  const cancel = () => stop.abort(signal.reason);
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel);
  let next = 0;
  let failuresInARow = 0;

  const lane = async () => {
    while (next < tasks.length && !stop.signal.aborted) {
      const task = tasks[next++]!;
      const began = performance.now();
      const attempt = await solve(task, stop.signal);
      if (attempt.stop === 'cancelled' || stop.signal.aborted) return;
      const seconds = Math.round(performance.now() - began) / 1000;
      await record(scoreAttempt(attempt, task.question, { baseline: task.baseline, suite: task.suite, seconds }));
      failuresInARow = isFailure(attempt.stop) ? failuresInARow + 1 : 0;
      if (failuresInARow < MOST_FAILURES_IN_A_ROW) continue;
      throw new UserError(
        `${failuresInARow} questions in a row failed, the last one by ${attempt.stop}: ${attempt.failure ?? 'no reason given'}`,
        { hint: 'Mend the server or the retriever.', continues: true },
      );
    }
  };
  const lanes = Array.from({ length: Math.min(concurrency, tasks.length) }, () =>
    lane().catch((error: unknown) => {
      stop.abort(error);
      throw error;
    }),
  );
  const ended = await Promise.allSettled(lanes);
  signal.removeEventListener('abort', cancel);
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
  signal.throwIfAborted();
}
