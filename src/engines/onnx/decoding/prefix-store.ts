/**
 * What sequences left in the key-value cache. A prompt may go on with whatever began alike: its own session's earlier turns, or
 * those of others, such as the siblings of a rollout that searched for the same. The oldest are dropped when it gets too much.
 */
import type { TokenIds } from '../../../policy/policy.ts';
import { commonLength } from '../model/common-prefix.ts';
import type { CachedRow, RowCache } from './pages.ts';

/** Of sessions that may go on, and of what may merely be of use to others; pages that rows share count for each. */
const SESSION_BYTES = 2 ** 30;
export const REST_BYTES = 2 ** 27;

interface Entry {
  readonly ids: TokenIds;
  readonly row: CachedRow;
}

export class PrefixStore {
  readonly #cache: RowCache;
  readonly #sessions = new Map<string, Entry>();
  readonly #rest = new Set<Entry>();
  readonly #bytes = { sessions: 0, rest: 0 };

  constructor(cache: RowCache) {
    this.#cache = cache;
  }

  /** Takes a row over, with the ids that it holds. */
  keep(session: string | undefined, ids: TokenIds, row: CachedRow): void {
    const entry = { ids, row };
    if (session === undefined) {
      this.#rest.add(entry);
      this.#bytes.rest += this.#size(entry);
      for (const oldest of this.#rest) {
        if (this.#bytes.rest <= REST_BYTES) break;
        this.#drop(oldest);
      }
      return;
    }
    // What the session held before is the prefix of what it holds now.
    this.#forget(session);
    this.#sessions.set(session, entry);
    this.#bytes.sessions += this.#size(entry);
    for (const oldest of this.#sessions.keys()) {
      if (this.#bytes.sessions <= SESSION_BYTES) break;
      this.#forget(oldest);
    }
  }

  /** A session that will not go on: what it holds may still be of use to others. */
  release(session: string): void {
    const entry = this.#remove(session);
    if (entry) this.keep(undefined, entry.ids, entry.row);
  }

  /** The row that the longest prefix of a prompt can be forked from; the last token is left, to draw what follows it. */
  longest(ids: TokenIds): { readonly row: CachedRow; readonly length: number } | undefined {
    let longest: { row: CachedRow; length: number } | undefined;
    for (const entries of [this.#sessions.values(), this.#rest])
      for (const entry of entries) {
        const length = commonLength(ids, entry.ids, Math.min(ids.length - 1, entry.row.length));
        if (length > (longest?.length ?? 0)) longest = { row: entry.row, length };
      }
    return longest;
  }

  clear(): void {
    for (const session of this.#sessions.keys()) this.#forget(session);
    for (const entry of this.#rest) this.#drop(entry);
  }

  #remove(session: string): Entry | undefined {
    const entry = this.#sessions.get(session);
    if (this.#sessions.delete(session)) this.#bytes.sessions -= this.#size(entry!);
    return entry;
  }

  #forget(session: string): void {
    const entry = this.#remove(session);
    if (entry) this.#cache.release(entry.row);
  }

  #drop(entry: Entry): void {
    this.#rest.delete(entry);
    this.#bytes.rest -= this.#size(entry);
    this.#cache.release(entry.row);
  }

  #size({ ids }: Entry): number {
    return this.#cache.bytesOf(ids.length);
  }
}
