/** Searches of concurrent rollouts, asked together: one call of the retriever for all that arrive in one turn of the event loop. */
import type { Hit, Retriever } from '../retrieval/retriever.ts';

type Search = Retriever['search'];

interface Waiter {
  readonly queries: readonly string[];
  readonly signal: AbortSignal | undefined;
  readonly resolve: (hits: Hit[][]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A search that gives exactly what `search` gives, in fewer calls. A waiter that gives up does not disturb the others of
 * its batch; when a batch fails, each waiter's queries are asked once on their own, so that one query which the retriever
 * refuses fails its own rollout only.
 */
export function batchSearches(search: Search): Search {
  /** Waiters of this turn of the event loop, by number of passages. */
  const collected = new Map<number, Waiter[]>();

  return (queries, k, signal) =>
    new Promise((resolve, reject) => {
      let batch = collected.get(k);
      if (batch === undefined) {
        batch = [];
        collected.set(k, batch);
        setImmediate(() => {
          const waiters = collected.get(k)!;
          collected.delete(k);
          void askTogether(search, waiters, k);
        });
      }
      batch.push({ queries, signal, resolve, reject });
    });
}

async function askTogether(search: Search, waiters: readonly Waiter[], k: number): Promise<void> {
  if (waiters.length === 1) return askAlone(search, waiters[0]!, k);
  const asked = waiters.flatMap((waiter) => waiter.queries);
  const call = abortedWithAll(
    waiters.flatMap((waiter) => waiter.signal ?? []),
    waiters.length,
  );
  let hits: Hit[][];
  try {
    hits = await search(asked, k, call.signal);
    if (hits.length !== asked.length) throw new Error(`${asked.length} queries brought ${hits.length} lists`);
  } catch {
    await Promise.all(waiters.map((waiter) => askAlone(search, waiter, k)));
    return;
  } finally {
    call.detach();
  }
  let start = 0;
  for (const { queries, resolve } of waiters) {
    resolve(hits.slice(start, start + queries.length));
    start += queries.length;
  }
}

async function askAlone(search: Search, { queries, signal, resolve, reject }: Waiter, k: number): Promise<void> {
  try {
    signal?.throwIfAborted();
    resolve(await search(queries, k, signal));
  } catch (error) {
    reject(error);
  }
}

/** A signal that is aborted once every one of `count` waiters has given up. */
function abortedWithAll(signals: readonly AbortSignal[], count: number) {
  const controller = new AbortController();
  const check = () => {
    if (signals.length === count && signals.every((signal) => signal.aborted)) controller.abort();
  };
  for (const signal of signals) signal.addEventListener('abort', check);
  check();
  return {
    signal: controller.signal,
    detach: () => {
      for (const signal of signals) signal.removeEventListener('abort', check);
    },
  };
}
