/** Pages of a key-value cache by number: which are free, and how many rows hold each of the others. */

/** A sequence in the cache. Its numbers are those of positions 0 to `length` − 1. */
export interface CachedRow {
  readonly pages: number[];
  length: number;
}

/** What is done with a cache by those who do not read it. */
export interface RowCache {
  /** Memory of a row of so many positions, in all layers. */
  bytesOf(length: number): number;
  /** A new row that begins like the first `length` positions of another, or like most of them: its own length says how many. */
  fork(row: CachedRow, length: number): CachedRow;
  /** Gives a row's pages up. */
  release(row: CachedRow): void;
}

export class Pages {
  readonly #holders: number[] = [];
  readonly #free: number[] = [];

  get count(): number {
    return this.#holders.length;
  }

  get isFull(): boolean {
    return this.#free.length === 0;
  }

  /** More pages, up to `count` in all; the lowest are taken first. */
  grow(count: number): void {
    const before = this.count;
    for (let page = count - 1; page >= before; page--) {
      this.#holders[page] = 0;
      this.#free.push(page);
    }
  }

  /** A free page, held once. */
  take(): number {
    const page = this.#free.pop()!;
    this.#holders[page] = 1;
    return page;
  }

  /** One more row holds these. */
  share(pages: readonly number[]): void {
    for (const page of pages) this.#holders[page]! += 1;
  }

  release(row: CachedRow): void {
    for (const page of row.pages.splice(0)) {
      this.#holders[page]! -= 1;
      if (this.#holders[page] === 0) this.#free.push(page);
    }
    row.length = 0;
  }
}
