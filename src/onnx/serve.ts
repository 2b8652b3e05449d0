/** The thread's side of a `WorkerClient`: runs the verbs asked for, and replies. */
import { parentPort } from 'node:worker_threads';
import { packError, READY, type ToWorker, type VerbTable } from './wire.ts';

/** Every verb may take the caller's signal, and a function that tells the caller something on the way, as last arguments. */
type Served<Table extends VerbTable<Table>> = {
  readonly [V in keyof Table]: (
    ...args: [...Parameters<Table[V]>, signal: AbortSignal, tell: (...numbers: number[]) => void]
  ) => ReturnType<Table[V]>;
};

export interface Serving {
  /** Forgets a session. */
  readonly release?: (session: string) => void;
  /** One verb at a time, in the order of their calls. */
  readonly inTurn?: boolean;
}

/** What a thread has to open before it can serve; where that fails, whoever waits for the thread is told why. */
export async function opening<T>(opened: Promise<T>): Promise<T> {
  try {
    return await opened;
  } catch (error) {
    parentPort!.postMessage({ id: READY, error: packError(error) });
    // The thread waits to be closed: one that ended by itself would be taken for one that broke.
    parentPort!.once('message', () => process.exit());
    return new Promise<never>(() => {});
  }
}

/** Says that the thread is ready, then serves until it is closed. */
export function serve<Table extends VerbTable<Table>>(
  verbs: Served<Table>,
  { release, inTurn = false }: Serving = {},
): void {
  const port = parentPort!;
  const aborts = new Map<number, AbortController>();
  let turn: Promise<void> = Promise.resolve();

  port.on('message', (message: ToWorker<Table>) => {
    if (message.kind === 'abort') return aborts.get(message.id)?.abort();
    if (message.kind === 'release') return release?.(message.session);
    // Of a worker, this ends the thread, not the process. A message is never handled in the middle of a run.
    if (message.kind === 'close') process.exit();
    const { id, verb, args } = message;
    const abort = new AbortController();
    aborts.set(id, abort);
    const tell = (...told: number[]) => port.postMessage({ id, told });
    const reply = async () => {
      try {
        abort.signal.throwIfAborted();
        const run = verbs[verb] as unknown as (...args: readonly unknown[]) => Promise<unknown>;
        port.postMessage({ id, value: await run(...args, abort.signal, tell) });
      } catch (error) {
        port.postMessage({ id, error: packError(error) });
      } finally {
        aborts.delete(id);
      }
    };
    if (inTurn) turn = turn.then(reply);
    else void reply();
  });
  port.postMessage({ id: READY, value: undefined });
}
