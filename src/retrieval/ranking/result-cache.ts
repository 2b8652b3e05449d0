/**
 * Ranked lists of past queries, the least recently used ones forgotten first. Nothing is lost by it: a list depends on the
 * query's terms and their number alone, so queries of the same words in another order or form share an entry. A cache
 * belongs to one opened index, with one k1, b and length form.
 */
import type { QueryTerm } from './formula.ts';
import type { Ranked } from './top.ts';

/** What the map and the objects of an entry take beside their contents, in bytes. */
const ENTRY_BYTES = 400;

export class ResultCache {
  readonly #capacity: number;
  /** In order of last use. */
  readonly #entries = new Map<string, Ranked>();
  #bytes = 0;

  /** @param capacity in bytes; 0 = nothing is kept */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): Ranked | undefined {
    const ranked = this.#entries.get(key);
    if (ranked === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, ranked);
    return ranked;
  }

  set(key: string, ranked: Ranked): void {
    this.#remove(key);
    this.#entries.set(key, ranked);
    this.#bytes += entryBytes(key, ranked);
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#capacity) break;
      this.#remove(oldest);
    }
  }

  #remove(key: string): void {
    const ranked = this.#entries.get(key);
    if (ranked === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entryBytes(key, ranked);
  }
}

/** What a list depends on. */
export function cacheKey(terms: readonly QueryTerm[], k: number): string {
  return `${k}:${terms.map(({ id, count }) => (count === 1 ? id : `${id}*${count}`)).join()}`;
}

function entryBytes(key: string, { positions, scores }: Ranked): number {
  return ENTRY_BYTES + key.length + positions.byteLength + scores.byteLength;
}
