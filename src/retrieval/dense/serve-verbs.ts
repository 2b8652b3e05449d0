/** The worker's side of a `WorkerClient`: runs the verbs asked for, one at a time, and replies. */
import { parentPort } from 'node:worker_threads';
import { packError, READY, type ToWorker, type VerbTable } from '../../engines/onnx/messages.ts';

/** Every verb is given the caller's signal as a last argument. */
type Served<Table extends VerbTable<Table>> = {
  [V in keyof Table]: (...args: [...Parameters<Table[V]>, signal: AbortSignal]) => ReturnType<Table[V]>;
};

/** Says that the thread is ready, then serves until it is closed. */
export function serveVerbs<Table extends VerbTable<Table>>(verbs: Served<Table>): void {
  const port = parentPort!;
  const aborts = new Map<number, AbortController>();
  let turn: Promise<void> = Promise.resolve();

  port.on('message', (message: ToWorker<Table>) => {
    if (message.kind === 'abort') return aborts.get(message.id)?.abort();
    // Of a worker, this ends the thread, not the process. A message is never handled in the middle of a run.
    if (message.kind === 'close') process.exit();
    if (message.kind !== 'call') return;
    const { id, verb, args } = message;
    const abort = new AbortController();
    aborts.set(id, abort);
    turn = turn.then(async () => {
      try {
        abort.signal.throwIfAborted();
        const run = verbs[verb] as unknown as (...args: readonly unknown[]) => Promise<unknown>;
        port.postMessage({ id, value: await run(...args, abort.signal) });
      } catch (error) {
        port.postMessage({ id, error: packError(error) });
      } finally {
        aborts.delete(id);
      }
    });
  });
  port.postMessage({ id: READY, value: undefined });
}
