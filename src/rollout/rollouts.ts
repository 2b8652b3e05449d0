/**
 * Many rollouts at once over one engine. The engine batches whatever samples are open (its continuous batching); here
 * up to `concurrency` rollouts are kept open, so that the others go on while some wait for their searches.
 */
import { setMaxListeners } from 'node:events';
import type { Question } from '../base/question.ts';
import { streamKey } from '../base/random.ts';
import { batchSearches } from './batched-search.ts';
import { type Environment, type RolloutTask, rollOutOne } from './rollout.ts';
import type { Trajectory } from './trajectory.ts';

export interface RollOutOptions {
  /** Rollouts that are open at a time, ≥ 1. Default 128. It changes speed, never results. */
  readonly concurrency?: number;
  /** Aborting it ends the open rollouts as 'cancelled', and the ones not yet begun too. */
  readonly signal?: AbortSignal;
  /** Called for each trajectory as it ends, in the order of ending. */
  readonly onDone?: (trajectory: Trajectory, index: number) => void;
}

/** The tasks of groups of `rollouts` each, question by question, with the streams of one step of a stage. */
export function groupTasks(
  questions: readonly Question[],
  rollouts: number,
  stream: { readonly seed: number; readonly stage: string; readonly step: number },
): RolloutTask[] {
  return questions.flatMap((question) =>
    Array.from({ length: rollouts }, (_, rollout) => ({
      question,
      rollout,
      key: streamKey(stream.seed, stream.stage, stream.step, question.id, rollout),
    })),
  );
}

/**
 * Rolls out every task and returns the trajectories in the order of the tasks. Neither concurrency nor the order in
 * which rollouts end changes them. Rejects for errors in this program only (one in `onDone`, say); then all others stop.
 */
export async function rollOut(
  tasks: readonly RolloutTask[],
  environment: Environment,
  { concurrency = 128, signal, onDone }: RollOutOptions = {},
): Promise<Trajectory[]> {
  if (!(concurrency >= 1)) throw new RangeError(`concurrency must be at least 1, found ${concurrency}`);
  const { retriever } = environment;
  const together = {
    ...environment,
    retriever: { search: batchSearches((queries, k, waiting) => retriever.search(queries, k, waiting)) },
  };
  const stop = new AbortController();
  // Every open rollout listens to it.
  setMaxListeners(0, stop.signal);
  const cancel = () => stop.abort();
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel);

  const trajectories: Trajectory[] = [];
  let next = 0;
  const keepGoing = async () => {
    for (let index = next++; index < tasks.length; index = next++) {
      const trajectory = await rollOutOne(tasks[index]!, together, stop.signal);
      trajectories[index] = trajectory;
      onDone?.(trajectory, index);
    }
  };
  const lanes = Array.from({ length: Math.min(concurrency, tasks.length) }, async () => {
    try {
      await keepGoing();
    } catch (error) {
      next = tasks.length;
      stop.abort();
      throw error;
    }
  });
  const ended = await Promise.allSettled(lanes);
  signal?.removeEventListener('abort', cancel);
  for (const lane of ended) if (lane.status === 'rejected') throw lane.reason;
  return trajectories;
}
