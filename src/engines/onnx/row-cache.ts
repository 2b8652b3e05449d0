/**
 * One tensor of the key-value cache: rows (sequences) of positions (tokens), in the layout [rows, heads, capacity, headSize].
 *
 * Keys lie as values do. Lying the way their product reads them, [heads, headSize, capacity], would make that product a
 * third faster, but writing a position then touches a line of memory for every number: slower in all, as measured.
 */
export class RowCache {
  readonly #heads: number;
  readonly #headSize: number;
  #rows = 0;
  #capacity = 0;
  #data = new Float32Array(0);

  constructor(heads: number, headSize: number) {
    this.#heads = heads;
    this.#headSize = headSize;
  }

  /** Changes the numbers of rows and positions; what lies within both stays. */
  resize(rows: number, capacity: number): void {
    const [source, target] = [this.#capacity * this.#headSize, capacity * this.#headSize];
    const kept = Math.min(source, target);
    const next = new Float32Array(rows * this.#heads * target);
    for (let head = 0; head < Math.min(rows, this.#rows) * this.#heads; head++)
      next.set(this.#data.subarray(head * source, head * source + kept), head * target);
    this.#rows = rows;
    this.#capacity = capacity;
    this.#data = next;
  }

  /** `count` rows from `first` on, not copied. */
  view(first: number, count: number): Float32Array {
    const size = this.#rowSize;
    return this.#data.subarray(first * size, (first + count) * size);
  }

  /** Writes one position of a row: [heads, headSize], from `offset` on. */
  write(row: number, position: number, numbers: Float32Array, offset: number): void {
    // Loops: for so few numbers cheaper than a view and `set`.
    const [size, stride, data] = [this.#headSize, this.#capacity * this.#headSize, this.#data];
    let target = row * this.#rowSize + position * size;
    let source = offset;
    for (let head = 0; head < this.#heads; head++) {
      for (let i = 0; i < size; i++) data[target + i] = numbers[source + i]!;
      target += stride;
      source += size;
    }
  }

  /** Zeros in a row, but for its first `length` positions when they were saved. */
  take(row: number, saved?: Float32Array, length = 0): void {
    this.view(row, 1).fill(0);
    if (!saved) return;
    const [stride, savedStride] = [this.#capacity * this.#headSize, saved.length / this.#heads];
    for (let head = 0; head < this.#heads; head++) {
      const from = head * savedStride;
      this.#data.set(saved.subarray(from, from + length * this.#headSize), row * this.#rowSize + head * stride);
    }
  }

  /** A copy of the first `length` positions of a row: [heads, length, headSize]. */
  save(row: number, length: number): Float32Array {
    const size = length * this.#headSize;
    const copy = new Float32Array(this.#heads * size);
    for (let head = 0; head < this.#heads; head++) {
      const from = row * this.#rowSize + head * this.#capacity * this.#headSize;
      copy.set(this.#data.subarray(from, from + size), head * size);
    }
    return copy;
  }

  /** Makes one row equal to another. */
  copy(from: number, to: number): void {
    const size = this.#rowSize;
    this.#data.copyWithin(to * size, from * size, (from + 1) * size);
  }

  get #rowSize(): number {
    return this.#heads * this.#capacity * this.#headSize;
  }
}
