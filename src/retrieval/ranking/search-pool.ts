/**
 * Ranking on several threads over one copy of an index. A batch is cut into chunks; each thread has one chunk at a time,
 * the rest wait in order, so that an aborted batch leaves the queue at once. A thread that fails, or does not answer in
 * time, is an error for the batch whose chunk it had; another one takes its place with the next chunk.
 */
import { Worker } from 'node:worker_threads';
import { shortage } from '../../base/files.ts';
import type { QueryTerm } from './formula.ts';
import type { Chunk, SearchWorkerData } from './search-worker.ts';
import type { Ranked } from './top.ts';

/** Queries a chunk: so few that threads end a batch at about the same time, so many that messages cost little. */
const CHUNK = 64;

/** Far beyond what a chunk takes on the largest index. */
const CHUNK_SECONDS = 120;

const script = new URL(import.meta.url.endsWith('.ts') ? './search-worker.ts' : './search-worker.js', import.meta.url);

interface Job {
  readonly chunk: Chunk;
  readonly resolve: (lists: Ranked[]) => void;
  readonly reject: (reason: unknown) => void;
}

export interface SearchPoolOptions {
  readonly workers: number;
  /** The longest that a chunk may take. */
  readonly chunkSeconds?: number;
}

export class SearchPool {
  readonly #threads: SearchThread[];
  #waiting: Job[] = [];
  #closed = false;

  constructor(data: SearchWorkerData, { workers, chunkSeconds = CHUNK_SECONDS }: SearchPoolOptions) {
    this.#threads = Array.from({ length: workers }, () => new SearchThread(data, chunkSeconds, () => this.#assign()));
  }

  /** The k best of each query, in order. Rejects as a whole when the signal is aborted or a thread fails. */
  async rank(queries: readonly (readonly QueryTerm[])[], k: number, signal?: AbortSignal): Promise<Ranked[]> {
    signal?.throwIfAborted();
    if (this.#closed) throw new Error('the index is closed');
    const jobs: Job[] = [];
    const chunks: Promise<Ranked[]>[] = [];
    for (let start = 0; start < queries.length; start += CHUNK)
      chunks.push(
        new Promise((resolve, reject) => {
          jobs.push({ chunk: { queries: queries.slice(start, start + CHUNK), k }, resolve, reject });
        }),
      );
    this.#waiting.push(...jobs);
    const abort = () => this.#drop(jobs, signal!.reason);
    signal?.addEventListener('abort', abort, { once: true });
    this.#assign();
    try {
      return (await Promise.all(chunks)).flat();
    } catch (error) {
      this.#drop(jobs, error);
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Ends all threads; what was being searched is rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#drop(this.#waiting, new Error('the index was closed'));
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  #assign(): void {
    for (const thread of this.#threads) {
      if (this.#waiting.length === 0 || this.#closed) return;
      if (!thread.busy) thread.start(this.#waiting.shift()!);
    }
  }

  /** Takes jobs out of the queue; a chunk that has begun ends unheard. */
  #drop(jobs: readonly Job[], reason: unknown): void {
    const dropped = new Set(jobs);
    this.#waiting = this.#waiting.filter((job) => !dropped.has(job));
    for (const job of dropped) job.reject(reason);
  }
}

/** One thread, started with its first job, and again after a failure. */
class SearchThread {
  readonly #data: SearchWorkerData;
  readonly #seconds: number;
  readonly #onFree: () => void;
  #worker: Worker | undefined;
  #job: Job | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(data: SearchWorkerData, seconds: number, onFree: () => void) {
    this.#data = data;
    this.#seconds = seconds;
    this.#onFree = onFree;
  }

  get busy(): boolean {
    return this.#job !== undefined;
  }

  start(job: Job): void {
    this.#worker ??= this.#launch();
    this.#worker.ref();
    this.#job = job;
    this.#timer = setTimeout(() => {
      this.#fail(new Error(`a search thread gave no answer for ${this.#seconds} s`));
    }, this.#seconds * 1000);
    this.#worker.postMessage(job.chunk);
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#fail(new Error('the index was closed'));
    await worker?.terminate();
  }

  #launch(): Worker {
    // The process's own options may not fit a file, e.g. those of `node -e`.
    const worker = new Worker(script, { workerData: this.#data, execArgv: [] });
    worker.on('message', (lists: Ranked[]) => {
      if (worker === this.#worker) this.#end()?.resolve(lists);
    });
    const fail = (error: Error) => {
      if (worker === this.#worker) this.#fail(error);
    };
    worker.on('error', (error) =>
      fail(
        shortage(error, 'a search thread') ?? new Error(`a search thread failed: ${error.message}`, { cause: error }),
      ),
    );
    worker.on('exit', (code) => fail(new Error(`a search thread ended unexpectedly (code ${code})`)));
    return worker;
  }

  #fail(error: Error): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
    this.#end()?.reject(error);
  }

  /** Leaves the job, whose thread may then take another one. An idle thread does not keep the process alive. */
  #end(): Job | undefined {
    const job = this.#job;
    this.#job = undefined;
    clearTimeout(this.#timer);
    this.#worker?.unref();
    if (job !== undefined) setImmediate(this.#onFree);
    return job;
  }
}
