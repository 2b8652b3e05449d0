/** What sequences left in the key-value cache, by session. The oldest are dropped when it gets too much. */
import type { TokenIds } from '../../policy/policy.ts';
import type { SavedRow } from './decoder.ts';

const BUDGET_BYTES = 2 ** 30;

interface Entry {
  readonly ids: TokenIds;
  readonly row: SavedRow;
  readonly bytes: number;
}

export class SessionStore {
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  get(session: string | undefined): SavedRow | undefined {
    return session === undefined ? undefined : this.#entries.get(session)?.row;
  }

  /** How many of the first ids are in the store, the last one not counted: it has to be computed to draw the next. */
  sharedLength(session: string | undefined, ids: TokenIds): number {
    const kept = session === undefined ? undefined : this.#entries.get(session);
    if (!kept) return 0;
    const longest = Math.min(kept.ids.length, ids.length - 1);
    for (let i = 0; i < longest; i++) if (kept.ids[i] !== ids[i]) return i;
    return longest;
  }

  set(session: string, ids: TokenIds, row: SavedRow): void {
    this.delete(session);
    const bytes = row.reduce((sum, { keys, values }) => sum + keys.byteLength + values.byteLength, 0);
    this.#entries.set(session, { ids, row, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= BUDGET_BYTES) break;
      this.delete(oldest);
    }
  }

  delete(session: string): void {
    this.#bytes -= this.#entries.get(session)?.bytes ?? 0;
    this.#entries.delete(session);
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}
