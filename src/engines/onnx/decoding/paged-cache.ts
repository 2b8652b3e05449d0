/**
 * The key-value cache: pages of 16 positions in all layers, owned by sequences, and attention over them.
 *
 * A sequence's pages need not lie together, so nothing moves when sequences come, grow and go, and sequences that begin
 * alike share the pages of their prefix. Each layer has a memory of its own with the same pages in it, after what a run
 * of the kernel needs: its scratch, queries, and a plan of who sees what.
 */

import type { Instantiate } from '../../../onnx/wasm.ts';
import { attentionKernel, headWidth, PAGE, pageSize, scratchBytes } from '../model/attention-kernel.ts';
import type { ModelConfig } from '../model/parameters.ts';
import { type CachedRow, Pages, type RowCache } from './pages.ts';

/** Bytes by which WebAssembly's memory grows. */
const GROWTH = 2 ** 16;
/** Pages to begin with; then half as many again whenever they are used up, or only so many more where that is too much. */
const FIRST_PAGES = 256;

/** A token and the row that it stands in. It sees the row up to itself. */
export interface RowToken {
  readonly row: CachedRow;
  readonly position: number;
}

export type CacheShape = Pick<ModelConfig, 'layers' | 'heads' | 'keyValueHeads' | 'headSize' | 'contextLength'>;

interface Layer {
  readonly kernel: ReturnType<Instantiate>;
  numbers: Float32Array;
  integers: Int32Array;
}

export class PagedCache implements RowCache {
  readonly #config: CacheShape;
  readonly #layers: Layer[];
  readonly #width: number;
  /** Floats of a page in a layer. */
  readonly #pageSize: number;
  /** Where queries, the plan and the pages begin in a layer's memory, in bytes. */
  readonly #queriesAt: number;
  readonly #planAt: number;
  readonly #pagesAt: number;
  readonly #pages = new Pages();

  /** @param runTokens most tokens of a call of `attend` */
  constructor(config: CacheShape, runTokens: number) {
    const { layers, heads, contextLength } = config;
    const instantiate = attentionKernel(config);
    this.#config = config;
    this.#width = headWidth(config);
    this.#pageSize = pageSize(config);
    this.#queriesAt = scratchBytes(config);
    this.#planAt = this.#queriesAt + runTokens * heads * this.#width * Float32Array.BYTES_PER_ELEMENT;
    const planned = runTokens * (2 + Math.ceil(contextLength / PAGE));
    this.#pagesAt = this.#planAt + planned * Int32Array.BYTES_PER_ELEMENT;
    this.#layers = Array.from({ length: layers }, () => ({
      kernel: instantiate(),
      numbers: new Float32Array(0),
      integers: new Int32Array(0),
    }));
  }

  /** Memory of a row of so many positions, in all layers. */
  bytesOf(length: number): number {
    return Math.ceil(length / PAGE) * this.#pageSize * Float32Array.BYTES_PER_ELEMENT * this.#layers.length;
  }

  /** A new row that begins like the first `length` positions of another: whole pages are shared, the rest is copied. */
  fork(row: CachedRow, length: number): CachedRow {
    const shared = Math.floor(length / PAGE);
    const pages = row.pages.slice(0, shared);
    if (length > shared * PAGE) {
      // Before anything is held: there may be no memory for it.
      const page = this.#takePage();
      const from = this.#pageStart(row.pages[shared]!);
      for (const { numbers } of this.#layers) numbers.copyWithin(this.#pageStart(page), from, from + this.#pageSize);
      pages.push(page);
    }
    this.#pages.share(pages.slice(0, shared));
    return { pages, length };
  }

  /** Makes room for more positions at the end of a row, which the caller then writes. */
  extend(row: CachedRow, count: number): void {
    row.length += count;
    // A page that others hold is never written: rows share whole pages only.
    while (row.pages.length * PAGE < row.length) row.pages.push(this.#takePage());
  }

  /** Gives a row's pages up. */
  release(row: CachedRow): void {
    this.#pages.release(row);
  }

  /** Writes keys and values, [tokens, keyValueHeads headSize], of tokens for which `extend` has made room. */
  write(layer: number, tokens: readonly RowToken[], keys: Float32Array, values: Float32Array): void {
    const { keyValueHeads, headSize } = this.#config;
    const { numbers } = this.#layers[layer]!;
    const [width, valuesAt] = [this.#width, this.#pageSize / 2];
    let source = 0;
    for (const { row, position } of tokens) {
      const slot = position % PAGE;
      let key = this.#pageStart(row.pages[(position - slot) / PAGE]!) + slot;
      let value = key - slot + valuesAt + slot * width;
      for (let head = 0; head < keyValueHeads; head++) {
        for (let d = 0; d < headSize; d++) {
          numbers[key + d * PAGE] = keys[source]!;
          numbers[value + d] = values[source]!;
          source += 1;
        }
        key += width * PAGE;
        value += width * PAGE;
      }
    }
  }

  /** What `attend` has to know about tokens; it stays right until rows change. */
  plan(tokens: readonly RowToken[]): Int32Array {
    const { BYTES_PER_ELEMENT } = Int32Array;
    const plan: number[] = new Array(2 * tokens.length);
    const tables = new Map<CachedRow, number>();
    for (const [i, { row, position }] of tokens.entries()) {
      let table = tables.get(row);
      if (table === undefined) {
        table = this.#planAt + plan.length * BYTES_PER_ELEMENT;
        tables.set(row, table);
        for (const page of row.pages) plan.push(this.#pageStart(page) * BYTES_PER_ELEMENT);
      }
      plan[2 * i] = table;
      plan[2 * i + 1] = (position + 1) * BYTES_PER_ELEMENT;
    }
    return Int32Array.from(plan);
  }

  /**
   * softmax(q Kᵀ / √D) V of `count` planned tokens; the result is [count, heads headSize], and so are queries (more are not read).
   * @param attended where the result is written, by default a new array
   */
  attend(
    layer: number,
    plan: Int32Array,
    count: number,
    queries: Float32Array,
    attended: Float32Array = new Float32Array(count * this.#config.heads * this.#config.headSize),
  ): Float32Array {
    const { heads, headSize } = this.#config;
    const { kernel, numbers, integers } = this.#layers[layer]!;
    const start = this.#queriesAt / Float32Array.BYTES_PER_ELEMENT;
    integers.set(plan, this.#planAt / Int32Array.BYTES_PER_ELEMENT);
    const own = numbers.subarray(start, start + count * heads * this.#width);
    copyRows(queries, headSize, own, this.#width, count * heads);
    kernel.run(this.#queriesAt, this.#planAt, count);
    copyRows(own, this.#width, attended, headSize, count * heads);
    return attended;
  }

  #pageStart(page: number): number {
    return this.#pagesAt / Float32Array.BYTES_PER_ELEMENT + page * this.#pageSize;
  }

  #takePage(): number {
    if (this.#pages.isFull) this.#grow();
    return this.#pages.take();
  }

  #grow(): void {
    const pages = this.#pages.count;
    try {
      this.#growTo(Math.max(FIRST_PAGES, Math.ceil(1.5 * pages)));
    } catch {
      // Near a memory's limit, or the machine's, less may still be had.
      this.#growTo(pages + FIRST_PAGES);
    }
  }

  /** @throws RangeError when there is no memory for so many pages */
  #growTo(pages: number): void {
    const bytes = this.#pagesAt + pages * this.#pageSize * Float32Array.BYTES_PER_ELEMENT;
    for (const layer of this.#layers) {
      const { memory } = layer.kernel;
      const missing = Math.ceil((bytes - memory.buffer.byteLength) / GROWTH);
      // A layer may have grown before another one failed to.
      if (missing > 0) memory.grow(missing);
      layer.numbers = new Float32Array(memory.buffer);
      layer.integers = new Int32Array(memory.buffer);
    }
    this.#pages.grow(pages);
  }
}

/** Copies rows between arrays whose rows are `from` and `to` floats apart: as much as the shorter ones hold. */
function copyRows(source: Float32Array, from: number, target: Float32Array, to: number, rows: number): void {
  if (from === to) target.set(source.subarray(0, rows * from));
  else
    for (let row = 0; row < rows; row++)
      for (let i = 0; i < Math.min(from, to); i++) target[row * to + i] = source[row * from + i]!;
}
