/** Waiting, as long as nobody calls it off. */
import { setTimeout as wait } from 'node:timers/promises';

/** Waits `seconds`; rejects with the signal's reason as soon as it is aborted. */
export async function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  await wait(1000 * seconds, undefined, signal === undefined ? {} : { signal }).catch(() => {});
  signal?.throwIfAborted();
}
