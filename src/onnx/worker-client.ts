/** The calling side of a worker thread: calls by number, replies, abortion, and what happens when the thread dies. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { shortage } from '../base/files.ts';
import { sharedGuard, waitAtExit } from './native-guard.ts';
import { outOfMemory } from './out-of-memory.ts';
import { type FromWorker, READY, type ToWorker, unpackError, type VerbTable } from './wire.ts';

/** What is done about a call until it ends. */
interface Following {
  /** Called with what the verb tells on its way, e.g. how many of how many parts are done. */
  readonly onTold?: ((...numbers: number[]) => void) | undefined;
  /** When an aborted call rejects. */
  readonly rejects?: 'at once' | 'when stopped';
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  readonly onTold: Following['onTold'];
}

export class WorkerClient<Table extends VerbTable<Table>> {
  readonly #name: string;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  /** Why calls are no longer taken. */
  #ended: Error | undefined;
  #exited = false;
  #lastCall = READY;

  /**
   * @param setup becomes the worker's `workerData`, with the `guard` added
   * @param name of what the thread is, for errors
   * @param guard see native-guard.ts; a thread's own threads share that of the thread
   */
  constructor(script: URL, setup: object, name = 'engine', guard = sharedGuard()) {
    this.#name = name;
    this.#worker = new Worker(script, {
      workerData: { ...setup, guard },
      // The process's own options may not fit a file, e.g. those of `node -e`.
      execArgv: [],
    });
    const hasEnded = waitAtExit(guard);
    this.#worker.on('message', (message: FromWorker) => this.#settle(message));
    this.#worker.on('messageerror', (error) => this.#end(error));
    this.#worker.on('error', (error: unknown) => {
      this.#end(
        outOfMemory(error, name) ??
          shortage(error, `the ${name}'s thread`) ??
          new Error(`the ${name}'s thread failed: ${error instanceof Error ? error.message : error}`, { cause: error }),
      );
    });
    this.#worker.on('exit', (code) => {
      this.#exited = true;
      hasEnded();
      this.#end(new Error(`the ${name}'s thread ended unexpectedly (code ${code})`));
    });
  }

  /** Resolves when the worker has said that it is ready. */
  ready(): Promise<void> {
    return this.#wait(READY) as Promise<void>;
  }

  /**
   * Has the worker do something. Aborted calls reject with the signal's reason: at once, or, those that change something,
   * when the worker has stopped; one that ended before it heard of it still resolves.
   */
  async call<V extends keyof Table>(
    verb: V,
    args: Parameters<Table[V]>,
    signal?: AbortSignal,
    { onTold, rejects = 'at once' }: Following = {},
  ): Promise<Awaited<ReturnType<Table[V]>>> {
    signal?.throwIfAborted();
    if (this.#ended) throw this.#ended;
    this.#lastCall += 1;
    const id = this.#lastCall;
    const abort = () => {
      if (rejects === 'at once') this.#take(id)?.reject(signal?.reason);
      this.post({ kind: 'abort', id });
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const reply = this.#wait(id, onTold);
      this.post({ kind: 'call', id, verb, args });
      return (await reply) as Awaited<ReturnType<Table[V]>>;
    } catch (error) {
      // The worker knows that it was to stop, but not why.
      throw signal?.aborted ? signal.reason : error;
    } finally {
      this.#take(id);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Sends a message that has no reply. */
  post(message: ToWorker<Table>): void {
    if (!this.#ended) this.#worker.postMessage(message);
  }

  /**
   * Ends the thread; pending calls reject. The thread ends itself, between two runs of the library: a thread that is
   * terminated within one takes the whole process down.
   */
  async close(): Promise<void> {
    this.#end(new Error(`the ${this.#name} is closed`));
    if (this.#exited) return;
    this.#worker.ref();
    const exit = once(this.#worker, 'exit');
    this.#worker.postMessage({ kind: 'close' } satisfies ToWorker<Table>);
    await exit;
  }

  #wait(id: number, onTold?: Following['onTold']): Promise<unknown> {
    // The thread keeps the process alive while there is something to wait for, and no longer.
    this.#worker.ref();
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject, onTold }));
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (this.#pending.delete(id) && this.#pending.size === 0) this.#worker.unref();
    return pending;
  }

  #settle(message: FromWorker): void {
    if ('told' in message) {
      this.#pending.get(message.id)?.onTold?.(...message.told);
      return;
    }
    const pending = this.#take(message.id);
    if ('error' in message) pending?.reject(unpackError(message.error));
    else pending?.resolve(message.value);
  }

  #end(reason: Error): void {
    this.#ended ??= reason;
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(this.#ended);
  }
}
