/**
 * Rollouts that are learned from or measured: nothing that failed is taken for an answer.
 *
 * What fails outside (a search, a deadline) is asked again, on the same streams, so that the result is the one it would have been without
 * the failure. When too much of it keeps failing, or when the engine itself fails, the work stops: it goes on from what is saved once that
 * is mended.
 */
import { UserError } from '../base/errors.ts';
import type { Environment, RolloutTask } from './rollout.ts';
import { type RollOutOptions, rollOut } from './rollouts.ts';
import { isFailure, type Trajectory } from './trajectory.ts';

/** A figure over fewer answers than 99 of 100 is none (docs/benchmarks.md). */
export const MOST_FAILED_OF_MEASURED = 0.01;
/** A training step leaves failures out of its groups; with more than this it would learn from the rest of a broken world. */
export const MOST_FAILED_OF_TRAINING = 0.1;

/** How often what failed is asked once more. Retrievers behind a connection have waited for their servers already. */
const AGAIN = 2;

export interface CompleteRollOutOptions extends RollOutOptions {
  /** What is rolled out, for messages: "grpo-1", "evaluation". */
  readonly name: string;
  /** Share of the tasks that may fail in the end, in [0, 1], for each of them: different kinds may be under way together. */
  readonly mostFailed: (index: number) => number;
  /** Told before failures are asked again. */
  readonly onAgain?: (note: string) => void;
}

/**
 * Rolls out every task, in the order of the tasks; trajectories of tasks that keep failing are failures (see `isFailure`).
 * @throws UserError when the engine fails, or too many tasks do; the signal's reason when that is aborted
 */
export async function rollOutCompletely(
  tasks: readonly RolloutTask[],
  environment: Environment,
  { name, mostFailed, onAgain, onDone, signal, ...options }: CompleteRollOutOptions,
): Promise<Trajectory[]> {
  const trajectories: Trajectory[] = [];
  let open = [...tasks.keys()];
  for (let round = 0; open.length > 0 && round <= AGAIN; round++) {
    if (round > 0) onAgain?.(`${name}: ${failures(trajectories, open)}; asked again`);
    // Nothing that comes after a failure of the engine is worth waiting for.
    const broken = new AbortController();
    const found = await rollOut(
      open.map((index) => tasks[index]!),
      environment,
      {
        ...options,
        signal: signal === undefined ? broken.signal : AbortSignal.any([signal, broken.signal]),
        onDone: (trajectory, i) => {
          if (trajectory.stop === 'sample-failed') broken.abort();
          if (round === 0) onDone?.(trajectory, i);
        },
      },
    );
    signal?.throwIfAborted();
    refuseBrokenEngine(found, name);
    for (const [i, index] of open.entries()) trajectories[index] = found[i]!;
    open = open.filter((index) => isFailure(trajectories[index]!.stop));
  }
  for (const share of new Set(open.map(mostFailed))) {
    const like = [...tasks.keys()].filter((index) => mostFailed(index) === share);
    const failed = open.filter((index) => mostFailed(index) === share);
    if (failed.length > share * like.length)
      throw new UserError(`${name}: ${failures(trajectories, failed, like.length)}`, {
        hint: 'Mend the retriever, or give it more time (rollout.searchSeconds).',
        continues: true,
      });
  }
  return trajectories;
}

function refuseBrokenEngine(trajectories: readonly Trajectory[], name: string): void {
  const broken = trajectories.find(({ stop }) => stop === 'sample-failed');
  if (broken !== undefined) throw engineFailure(name, broken.questionId, broken.failure);
}

/** A failure of our own engine (no memory, no file descriptors, a number that is none) says nothing about the policy. */
export function engineFailure(name: string, questionId: string, failure: string | undefined): UserError {
  return new UserError(`${name}: the engine failed at question ${questionId}: ${failure ?? 'no reason given'}`, {
    hint: 'Give it what it lacks (memory, open files, disk space, its GPU).',
    continues: true,
  });
}

/** "3 of 40 rollouts failed, the first one (q7) by search-failed: connection refused". */
function failures(
  trajectories: readonly Trajectory[],
  failed: readonly number[],
  of: number = trajectories.length,
): string {
  const { questionId, stop, failure } = trajectories[failed[0]!]!;
  return `${failed.length} of ${of} rollouts failed, the first one (${questionId}) by ${stop}: ${failure ?? 'no reason given'}`;
}
