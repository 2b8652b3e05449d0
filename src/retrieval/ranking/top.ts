/** The k best of the passages offered: higher scores first, equal ones by position in the corpus, or in another order. */

export interface Ranked {
  /** Positions in the corpus, best first. */
  readonly positions: Uint32Array;
  readonly scores: Float64Array;
}

/** A binary heap whose root is the worst of those kept. */
export class Top {
  readonly #k: number;
  readonly #order: Uint32Array | undefined;
  #positions: Uint32Array;
  #scores: Float64Array;
  #size = 0;

  /** @param order the rank of each position among equal scores; default: the position itself */
  constructor(k: number, order?: Uint32Array) {
    this.#k = k;
    this.#order = order;
    const room = Math.min(k, 64);
    this.#positions = new Uint32Array(room);
    this.#scores = new Float64Array(room);
  }

  get full(): boolean {
    return this.#size === this.#k;
  }

  /** The score that has to be reached once `full`, by an earlier passage, or exceeded. */
  get worst(): number {
    return this.#scores[0]!;
  }

  offer(position: number, score: number): void {
    if (this.#size === this.#k) {
      if (this.#isWorse(score, position, 0)) return;
      this.#sink(position, score);
    } else {
      if (this.#size === this.#positions.length) this.#grow();
      this.#rise(position, score);
    }
  }

  /** All that were kept, sorted; leaves the heap empty. */
  take(): Ranked {
    const size = this.#size;
    const positions = new Uint32Array(size);
    const scores = new Float64Array(size);
    for (let rank = size - 1; rank >= 0; rank--) {
      positions[rank] = this.#positions[0]!;
      scores[rank] = this.#scores[0]!;
      this.#size = rank;
      this.#sink(this.#positions[rank]!, this.#scores[rank]!);
    }
    return { positions, scores };
  }

  /** Puts an entry in the root's place and lets it sink to where no child is worse. */
  #sink(position: number, score: number): void {
    let at = 0;
    for (let child = 1; child < this.#size; child = 2 * at + 1) {
      const right = child + 1;
      if (right < this.#size && this.#isWorse(this.#scores[right]!, this.#positions[right]!, child)) child = right;
      if (this.#isWorse(score, position, child)) break;
      this.#move(child, at);
      at = child;
    }
    this.#scores[at] = score;
    this.#positions[at] = position;
  }

  /** Adds an entry at the end and lets it rise to where its parent is worse. */
  #rise(position: number, score: number): void {
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isWorse(score, position, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#scores[at] = score;
    this.#positions[at] = position;
  }

  #move(from: number, to: number): void {
    this.#scores[to] = this.#scores[from]!;
    this.#positions[to] = this.#positions[from]!;
  }

  #isWorse(score: number, position: number, than: number): boolean {
    const other = this.#scores[than]!;
    if (score !== other) return score < other;
    const [order, rival] = [this.#order, this.#positions[than]!];
    return order === undefined ? position > rival : order[position]! > order[rival]!;
  }

  #grow(): void {
    const room = Math.min(this.#k, 2 * this.#positions.length);
    const [positions, scores] = [new Uint32Array(room), new Float64Array(room)];
    positions.set(this.#positions);
    scores.set(this.#scores);
    this.#positions = positions;
    this.#scores = scores;
  }
}
