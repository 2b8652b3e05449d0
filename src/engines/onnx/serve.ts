/** The thread's side of a `WorkerClient`: runs the verbs asked for as they arrive, and replies. */
import { parentPort } from 'node:worker_threads';
import { packError, READY, type ToWorker, type VerbTable } from './messages.ts';

/** Every verb may take the caller's signal as a last argument. */
export type Served<Table extends VerbTable<Table>> = {
  readonly [V in keyof Table]: (...args: [...Parameters<Table[V]>, signal: AbortSignal]) => ReturnType<Table[V]>;
};

/** Says that the thread is ready, then serves until it is closed. `release` forgets a session. */
export function serve<Table extends VerbTable<Table>>(
  verbs: Served<Table>,
  { release }: { readonly release: (session: string) => void },
): void {
  const port = parentPort!;
  const aborts = new Map<number, AbortController>();

  port.on('message', async (message: ToWorker<Table>) => {
    if (message.kind === 'abort') return aborts.get(message.id)?.abort();
    if (message.kind === 'release') return release(message.session);
    // Of a worker, this ends the thread, not the process. A message is never handled in the middle of a run.
    if (message.kind === 'close') process.exit();
    const { id, verb, args } = message;
    const abort = new AbortController();
    aborts.set(id, abort);
    try {
      const run = verbs[verb] as unknown as (...args: readonly unknown[]) => Promise<unknown>;
      port.postMessage({ id, value: await run(...args, abort.signal) });
    } catch (error) {
      port.postMessage({ id, error: packError(error) });
    } finally {
      aborts.delete(id);
    }
  });
  port.postMessage({ id: READY, value: undefined });
}
