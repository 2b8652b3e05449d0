/**
 * Runs an experiment, or what is left of it: tasks that are ready, so many at a time. What is finished is not repeated, what was
 * broken off is continued; the files are the same however often that happens (but for those of `grpo-seconds`, whose steps follow
 * from the clock).
 */

import { makeFolder } from '../base/files.ts';
import type { EvolveEvent } from '../evolve/journal.ts';
import { planStages } from '../evolve/stages.ts';
import { acquireLock } from '../runs/lock.ts';
import type { Base, Definition } from './definition.ts';
import { hasOutcomes } from './outcomes.ts';
import { readExperiment, recordExperiment } from './record.ts';
import { writeExperimentReport } from './report.ts';
import { isFinished, runTask } from './run-task.ts';
import type { Summary } from './schema.ts';
import { type Task, tasksOf, unitsOf } from './tasks.ts';

export interface ExperimentOptions {
  readonly folder: string;
  /** Tasks at the same time, each with an engine of its own. */
  readonly jobs: number;
  /** Threads of all engines together, shared out evenly. A seed that has begun keeps its own. */
  readonly threads: number;
  /** Of seeds that have none of their own. */
  readonly base: Base;
  readonly signal: AbortSignal;
  readonly onEvent: (event: ExperimentEvent) => void;
}

export type ExperimentEvent =
  | { readonly kind: 'began'; readonly task: Task }
  | { readonly kind: 'ended'; readonly task: Task; readonly seconds: number }
  | { readonly kind: 'run'; readonly task: Task; readonly event: EvolveEvent }
  | { readonly kind: 'note'; readonly text: string }
  | {
      readonly kind: 'progress';
      readonly finished: number;
      readonly tasks: number;
      readonly fraction: number;
      readonly secondsLeft: number | null;
    };

/** Below this much new work, in shares of the grid, a pace says nothing yet. */
const LEAST_MOVED = 0.003;

/**
 * Gives what its report says.
 * @throws UserError when another experiment is in the folder; Cancelled when the signal is aborted
 */
export async function runExperiment(definition: Definition, options: ExperimentOptions): Promise<Summary> {
  const { folder, onEvent } = options;
  await makeFolder(folder);
  const lock = await acquireLock(folder);
  try {
    for (const text of await recordExperiment(folder, definition, options.base)) onEvent({ kind: 'note', text });
    await runGrid(definition, options);
    return await writeExperimentReport(folder);
  } finally {
    await lock.release();
  }
}

async function runGrid(definition: Definition, options: ExperimentOptions): Promise<void> {
  const { folder, jobs, onEvent } = options;
  const tasks = tasksOf(definition);
  const record = await readExperiment(folder);
  const finished = new Set<string>();
  for (const seed of record.seeds) {
    const isKept = await hasOutcomes(folder, record, seed);
    for (const task of tasks.filter((one) => one.seed.name === seed.name))
      if (isKept || (await isFinished(task, folder))) finished.add(task.folder);
  }
  const waiting = tasks.filter((task) => !finished.has(task.folder));
  const running = new Map<Task, Promise<void>>();
  const progress = new GridProgress(tasks, finished, onEvent);
  const exclusively = oneAtATime();
  // The first failure stops the others, which save what they have.
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const threads = Math.max(1, Math.floor(options.threads / jobs));

  const begin = (task: Task) => {
    const start = performance.now();
    onEvent({ kind: 'began', task });
    const run = runTask(task, {
      ...{
        folder,
        preset: definition.preset,
        model: (task.seed.base ?? options.base).model,
        threads,
        signal,
        exclusively,
      },
      onEvent: (event, share) => {
        progress.moved(task, share);
        onEvent({ kind: 'run', task, event });
      },
    });
    const ended = run.then(async () => {
      finished.add(task.folder);
      progress.moved(task, 1);
      onEvent({ kind: 'ended', task, seconds: (performance.now() - start) / 1000 });
      // Reading all runs takes a while: once a seed, not once an arm.
      const left = tasks.some((other) => other.seed === task.seed && !finished.has(other.folder));
      if (!left && finished.size < tasks.length) await exclusively(() => writeExperimentReport(folder));
      // Not before: the grid has not ended while a report is being written, and two would write the same files at once.
      running.delete(task);
    });
    running.set(task, ended);
  };

  try {
    while (waiting.length > 0 || running.size > 0) {
      signal.throwIfAborted();
      while (running.size < jobs) {
        const ready = waiting.findIndex(({ after }) => after.every((name) => finished.has(name)));
        if (ready < 0) break;
        begin(waiting.splice(ready, 1)[0]!);
      }
      // A race of nobody never ends: tasks that wait for one another in a circle would.
      if (running.size === 0) throw new Error(`no task can begin: ${waiting.map(({ folder }) => folder).join(', ')}`);
      await Promise.race(running.values());
    }
  } catch (error) {
    stop.abort();
    await Promise.allSettled(running.values());
    throw error;
  }
}

/** Runs work in the order in which it was given, one after the other. */
function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next;
    return next;
  };
}

/** How much of the grid is done, and the time left at this sitting's pace. */
class GridProgress {
  readonly #units: ReadonlyMap<Task, number>;
  readonly #shares: Map<Task, number>;
  readonly #total: number;
  readonly #finished: ReadonlySet<string>;
  readonly #onEvent: (event: ExperimentEvent) => void;
  readonly #start = performance.now();
  /** Work that was done before this sitting, in units. A broken-off task's is known at its first event. */
  #before = 0;

  constructor(tasks: readonly Task[], finished: ReadonlySet<string>, onEvent: (event: ExperimentEvent) => void) {
    this.#units = new Map(
      tasks.map((task) => {
        const stages = planStages(task.settings).slice(task.begin, task.end);
        return [task, stages.reduce((sum, stage) => sum + unitsOf(stage, task.settings, task.data), 0)];
      }),
    );
    this.#shares = new Map(tasks.flatMap((task) => (finished.has(task.folder) ? [[task, 1]] : [])));
    this.#total = [...this.#units.values()].reduce((a, b) => a + b, 0);
    this.#finished = finished;
    this.#onEvent = onEvent;
    this.#before = this.#done();
    this.#report();
  }

  moved(task: Task, share: number): void {
    if (!this.#shares.has(task)) this.#before += share * this.#units.get(task)!;
    this.#shares.set(task, share);
    this.#report();
  }

  #done(): number {
    return [...this.#shares].reduce((sum, [task, share]) => sum + share * this.#units.get(task)!, 0);
  }

  #report(): void {
    const done = this.#done();
    const moved = done - this.#before;
    const elapsed = (performance.now() - this.#start) / 1000;
    this.#onEvent({
      kind: 'progress',
      finished: this.#finished.size,
      tasks: this.#units.size,
      fraction: done / this.#total,
      secondsLeft: moved > LEAST_MOVED * this.#total ? ((this.#total - done) * elapsed) / moved : null,
    });
  }
}
