/**
 * The engine's further threads, one for each core but the first. Each samples (samplers.ts), computes micro-batches
 * (places.ts) and does its share of a step (adamw.ts), whichever is asked for; it is started when first needed.
 */
import type { Hand } from './adamw.ts';
import type { HelperInput, HelperVerbs } from './messages.ts';
import { WorkerClient } from './worker-client.ts';

export class Helpers {
  readonly #setup: HelperInput;
  readonly #threads: WorkerClient<HelperVerbs>[] = [];

  constructor(setup: HelperInput) {
    this.#setup = setup;
  }

  /** Helper `index`, from 0; those before it have been asked for. */
  at(index: number): WorkerClient<HelperVerbs> {
    this.#threads[index] ??= start(this.#setup);
    return this.#threads[index];
  }

  /** The first `count` helpers, for a step. */
  hands(count: number): Hand[] {
    return Array.from({ length: count }, (_, i) => {
      const helper = this.at(i);
      return {
        squares: (gradient) => helper.call('squares', [gradient]),
        update: (slice, coefficients) => helper.call('update', [slice, coefficients]),
      };
    });
  }

  /** Ends the threads; what is under way there rejects. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

function start(setup: HelperInput): WorkerClient<HelperVerbs> {
  // Beside this file lies the thread's source, or, when built, its JavaScript.
  const script = new URL(import.meta.url.endsWith('.ts') ? './helper.ts' : './helper.js', import.meta.url);
  return new WorkerClient<HelperVerbs>(script, setup, 'engine', setup.guard);
}
