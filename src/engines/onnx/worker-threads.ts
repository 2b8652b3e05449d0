/**
 * The engine's further threads, one for each core but the first. Each samples (samplers.ts), computes micro-batches
 * (data-parallel.ts) and does its share of a step (adamw.ts), whichever is asked for; it is started when first needed.
 */

import { WorkerClient } from '../../onnx/worker-client.ts';
import type { WorkerThreadInput, WorkerThreadVerbs } from './messages.ts';
import type { Shard } from './training/adamw.ts';

export class WorkerThreads {
  readonly #setup: WorkerThreadInput;
  readonly #threads: WorkerClient<WorkerThreadVerbs>[] = [];

  constructor(setup: WorkerThreadInput) {
    this.#setup = setup;
  }

  /** Helper `index`, from 0; those before it have been asked for. */
  at(index: number): WorkerClient<WorkerThreadVerbs> {
    this.#threads[index] ??= start(this.#setup);
    return this.#threads[index];
  }

  /** The first `count` workerThreads, for a step. */
  shards(count: number): Shard[] {
    return Array.from({ length: count }, (_, i) => {
      const workerThread = this.at(i);
      return {
        squares: (gradient) => workerThread.call('squares', [gradient]),
        update: (slice, coefficients) => workerThread.call('update', [slice, coefficients]),
      };
    });
  }

  /** Ends the threads; what is under way there rejects. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

function start(setup: WorkerThreadInput): WorkerClient<WorkerThreadVerbs> {
  // Beside this file lies the thread's source, or, when built, its JavaScript.
  const script = new URL(
    import.meta.url.endsWith('.ts') ? './worker-thread.ts' : './worker-thread.js',
    import.meta.url,
  );
  return new WorkerClient<WorkerThreadVerbs>(script, setup, 'engine', setup.guard);
}
