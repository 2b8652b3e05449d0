/**
 * A small model in training: its micro-batches are computed side by side, by this thread and by further ones, each in one
 * graph of its own over the same weights.
 *
 * Inside one graph a second thread gains little, since a small model's products are short, and it would change the last bits
 * of their sums. Here all bits are the same for any number of threads.
 */
import type { CallOptions } from '../../../policy/policy.ts';
import { trainingShards } from '../memory.ts';
import type { ModelConfig } from '../model/parameters.ts';
import type { WorkerThreads } from '../worker-threads.ts';
import type { MicroBatch } from './micro-batches.ts';
import type { ModelRunner, Outputs, Task } from './model-runner.ts';
import { computeShare, OrderedReduction } from './ordered-reduction.ts';
import { WholeGraph } from './whole-graph.ts';

export class DataParallel implements ModelRunner {
  readonly #config: ModelConfig;
  readonly #own: WholeGraph;
  readonly #threads: number;
  readonly #workerThreads: WorkerThreads | undefined;

  /** @param threads this one included; without `workerThreads` it is alone */
  constructor(config: ModelConfig, threads: number, workerThreads: WorkerThreads | undefined) {
    this.#config = config;
    this.#own = new WholeGraph(config);
    this.#threads = threads;
    this.#workerThreads = workerThreads;
  }

  async run(task: Task, { signal, onProgress }: CallOptions): Promise<Outputs[]> {
    signal?.throwIfAborted();
    const { length } = task.jobs;
    const reduction = new OrderedReduction(length);
    const stop = () => reduction.stop();
    signal?.addEventListener('abort', stop);
    const shares = [];
    // The others first: this thread is not heard while it computes.
    for (let i = 0; this.#workerThreads && i < this.#placesFor(task) - 1; i++)
      shares.push(this.#workerThreads.at(i).call('compute', [task, reduction.memory]));
    shares.push(computeShare(this.#own, task, reduction, (done) => onProgress?.(done, length)));
    // A thread that dies takes a micro-batch with it that the others would wait for.
    for (const share of shares) share.catch(stop);
    // None may go on when the caller does.
    const ended = await Promise.allSettled(shares);
    signal?.removeEventListener('abort', stop);
    signal?.throwIfAborted();

    const outputs = new Array<Outputs>(length);
    for (const share of ended) {
      if (share.status === 'rejected') throw share.reason;
      for (const [index, one] of share.value) outputs[index] = one;
    }
    return outputs;
  }

  close(): Promise<void> {
    return this.#own.close();
  }

  #placesFor({ jobs }: Task): number {
    const tokens = jobs.flatMap(({ micro, teacher }) => [micro, ...(teacher ? [teacher.micro] : [])]).map(paddedTokens);
    return Math.min(jobs.length, trainingShards(this.#config, this.#threads, Math.max(...tokens)));
  }
}

function paddedTokens({ levels }: MicroBatch): number {
  return levels.ids.length;
}
