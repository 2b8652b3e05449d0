/** Reads a segment from its first term to its last, a little of each section in memory at a time. */
import { closeSync, openSync, readSync } from 'node:fs';
import { fileError } from '../../base/files.ts';
import type { SegmentRecord } from './segment.ts';

export class SegmentReader {
  readonly #fd: number;
  readonly #termSizes: Section;
  readonly #counts: Section;
  readonly #positions: Section;
  readonly #terms: Section;
  readonly #frequencies: Section;
  readonly #large: ReadonlyMap<number, number>;
  #termsLeft: number;
  #taken = 0;
  /** |d| of each passage. */
  readonly lengths: Uint32Array;
  /** The present term; undefined behind the last. */
  term: string | undefined;
  /** Its postings that have not been read yet. */
  left = 0;

  constructor(file: string, { passages, terms, termBytes, postings, large }: SegmentRecord) {
    try {
      this.#fd = openSync(file, 'r');
    } catch (error) {
      throw fileError(error, file, 'read');
    }
    let at = 0;
    const section = (bytes: number) => {
      at += bytes;
      return new Section(file, this.#fd, at - bytes, at);
    };
    // In the order of segment.ts.
    this.lengths = section(4 * passages).all();
    this.#termSizes = section(4 * terms);
    this.#counts = section(4 * terms);
    this.#positions = section(4 * postings);
    const largePostings = section(4 * large).all();
    const largeValues = section(4 * large).all();
    this.#large = new Map(Array.from(largePostings, (posting, i) => [posting, largeValues[i]!]));
    this.#terms = section(termBytes);
    this.#frequencies = section(postings);
    this.#termsLeft = terms;
    this.next();
  }

  /** Goes to the next term; all postings of the present one have been read. */
  next(): void {
    this.term = this.#termsLeft === 0 ? undefined : this.#terms.text(this.#termSizes.u32());
    this.left = this.#termsLeft === 0 ? 0 : this.#counts.u32();
    this.#termsLeft -= 1;
  }

  /** Reads postings of the present term, as many as there are and fit; exact frequencies. Returns how many. */
  read(positions: Uint32Array, frequencies: Uint32Array): number {
    const count = Math.min(this.left, positions.length);
    for (let i = 0; i < count; i++) {
      positions[i] = this.#positions.u32();
      const frequency = this.#frequencies.u8();
      frequencies[i] = frequency < 255 ? frequency : this.#large.get(this.#taken + i)!;
    }
    this.#taken += count;
    this.left -= count;
    return count;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const BUFFER_BYTES = 1 << 16;

/** A stretch of a file, read from its beginning to its end. */
class Section {
  readonly #file: string;
  readonly #fd: number;
  /** What of the file has not been read into the buffer. */
  #from: number;
  readonly #to: number;
  #buffer = Buffer.alloc(0);
  /** What of the buffer has been read from the file, and what of that has been taken. */
  #filled = 0;
  #at = 0;

  constructor(file: string, fd: number, from: number, to: number) {
    this.#file = file;
    this.#fd = fd;
    this.#from = from;
    this.#to = to;
  }

  u32(): number {
    if (this.#at + 4 > this.#filled) this.#fill(4);
    const buffer = this.#buffer;
    const at = this.#at;
    this.#at += 4;
    return (buffer[at]! | (buffer[at + 1]! << 8) | (buffer[at + 2]! << 16) | (buffer[at + 3]! << 24)) >>> 0;
  }

  u8(): number {
    if (this.#at === this.#filled) this.#fill(1);
    return this.#buffer[this.#at++]!;
  }

  text(bytes: number): string {
    if (this.#at + bytes > this.#filled) this.#fill(bytes);
    this.#at += bytes;
    return this.#buffer.toString('utf8', this.#at - bytes, this.#at);
  }

  /** All numbers to the section's end. */
  all(): Uint32Array {
    return Uint32Array.from({ length: (this.#to - this.#from) / 4 }, () => this.u32());
  }

  /** Makes at least `needed` unread bytes stand in the buffer. */
  #fill(needed: number): void {
    const rest = this.#filled - this.#at;
    const wanted = Math.min(Math.max(BUFFER_BYTES, needed), rest + this.#to - this.#from);
    const before = this.#buffer;
    if (wanted > before.length) this.#buffer = Buffer.alloc(wanted);
    before.copy(this.#buffer, 0, this.#at, this.#filled);
    for (this.#filled = rest; this.#filled < wanted; ) {
      const read = readSync(this.#fd, this.#buffer, this.#filled, wanted - this.#filled, this.#from);
      if (read === 0) throw new Error(`${this.#file}: ended before its time`);
      this.#filled += read;
      this.#from += read;
    }
    this.#at = 0;
  }
}
