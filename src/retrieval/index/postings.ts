/** From texts to postings, in memory: of a whole small corpus, or of one segment of a large one. */
import type { Analyzer } from '../analyzer.ts';
import { type LargeFrequencies, sharedArray } from './arrays.ts';

/** The postings of consecutive passages. */
export interface Postings {
  /** |d|, the number of terms, repeated ones included, of each passage. */
  readonly lengths: Uint32Array;
  /** In ascending order (UTF-16 units, as JavaScript compares strings). */
  readonly terms: readonly string[];
  /** The other fields are those of `IndexArrays`; positions are counted from the first passage given. */
  readonly postingStarts: Uint32Array;
  readonly positions: Uint32Array;
  readonly frequencies: Uint8Array;
  readonly largeFrequencies: LargeFrequencies;
}

/** Collects postings in the order of the passages; `finish` sorts them by term. */
export class PostingsBuilder {
  readonly #analyze: Analyzer;
  readonly #ids = new Map<string, number>();
  readonly #lengths = new Numbers(Uint32Array);
  /** Where the postings of each passage end. */
  readonly #ends = new Numbers(Uint32Array);
  /** Each posting's term, in order of first occurrence. */
  readonly #terms = new Numbers(Uint32Array);
  readonly #frequencies = new Numbers(Uint8Array);
  /** tf of the postings where it is 255 or more. */
  readonly #large = new Map<number, number>();
  /** The newest posting of each term. */
  readonly #newest = new Numbers(Uint32Array);

  constructor(analyze: Analyzer) {
    this.#analyze = analyze;
  }

  /** Takes the text of the next passage. */
  add(text: string): void {
    const start = this.#terms.length;
    const terms = this.#analyze(text);
    for (const term of terms) {
      let id = this.#ids.get(term);
      if (id === undefined) {
        id = this.#ids.size;
        this.#ids.set(term, id);
        this.#newest.push(this.#begin(id));
      } else {
        const newest = this.#newest.at(id);
        if (newest >= start) this.#increment(newest);
        else this.#newest.set(id, this.#begin(id));
      }
    }
    this.#lengths.push(terms.length);
    this.#ends.push(this.#terms.length);
  }

  #begin(id: number): number {
    this.#terms.push(id);
    this.#frequencies.push(1);
    return this.#terms.length - 1;
  }

  #increment(posting: number): void {
    const frequency = this.#frequencies.at(posting);
    if (frequency < 254) this.#frequencies.set(posting, frequency + 1);
    else {
      this.#large.set(posting, (this.#large.get(posting) ?? 254) + 1);
      this.#frequencies.set(posting, 255);
    }
  }

  /** Everything taken so far, sorted by term; within a term the order of the passages stays. */
  finish(): Postings {
    const terms = [...this.#ids.keys()].sort();
    const rank = new Uint32Array(terms.length);
    for (const [i, term] of terms.entries()) rank[this.#ids.get(term)!] = i;

    const size = this.#terms.length;
    const postingStarts = sharedArray(Uint32Array, terms.length + 1);
    for (let i = 0; i < size; i++) postingStarts[rank[this.#terms.at(i)]! + 1]! += 1;
    for (let t = 0; t < terms.length; t++) postingStarts[t + 1]! += postingStarts[t]!;

    const next = postingStarts.slice();
    const positions = sharedArray(Uint32Array, size);
    const frequencies = sharedArray(Uint8Array, size);
    const large: [posting: number, tf: number][] = [];
    let posting = 0;
    for (let position = 0; position < this.#ends.length; position++)
      for (const end = this.#ends.at(position); posting < end; posting++) {
        const at = next[rank[this.#terms.at(posting)]!]!++;
        positions[at] = position;
        frequencies[at] = this.#frequencies.at(posting);
        if (frequencies[at] === 255) large.push([at, this.#large.get(posting)!]);
      }
    return {
      lengths: this.#lengths.values(),
      terms,
      postingStarts,
      positions,
      frequencies,
      largeFrequencies: sortedLarge(large),
    };
  }
}

function sortedLarge(large: [posting: number, tf: number][]): LargeFrequencies {
  large.sort(([x], [y]) => x - y);
  const postings = sharedArray(Uint32Array, large.length);
  const values = sharedArray(Uint32Array, large.length);
  for (const [i, [posting, tf]] of large.entries()) {
    postings[i] = posting;
    values[i] = tf;
  }
  return { postings, values };
}

/** A list of numbers in a typed array that doubles. */
class Numbers<A extends Uint8Array | Uint32Array> {
  readonly #type: { new (length: number): A };
  #values: A;
  length = 0;

  constructor(type: { new (length: number): A }) {
    this.#type = type;
    this.#values = new type(1024);
  }

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new this.#type(2 * this.length);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length++] = value;
  }

  at(i: number): number {
    return this.#values[i]!;
  }

  set(i: number, value: number): void {
    this.#values[i] = value;
  }

  /** A copy without the spare room. */
  values(): A {
    return this.#values.slice(0, this.length) as A;
  }
}
