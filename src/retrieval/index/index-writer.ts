/** Writes the arrays of an index as files, from its lengths and its terms in ascending order, each with its postings. */
import path from 'node:path';
import { type FileSum, FileWriter, readArray } from './array-files.ts';
import type { LengthForm } from './arrays.ts';
import { buildSlots } from './dictionary.ts';
import { saturations, TermBounds } from './impacts.ts';
import { encodeLengths } from './lengths.ts';
import { FILES, type FileName, type PassageFile } from './manifest.ts';

export interface WriterOptions {
  readonly k1: number;
  readonly b: number;
  readonly length: LengthForm;
}

/** What the writer has written; `files` without those of the passages. */
export interface Written {
  readonly terms: number;
  readonly postings: number;
  readonly totalTerms: number;
  readonly files: Record<Exclude<FileName, PassageFile>, FileSum>;
}

const WRITTEN_TERM_BY_TERM = [
  ...(['termBytes', 'termEnds', 'postingStarts', 'positions', 'frequencies', 'largePostings', 'largeValues'] as const),
  ...(['blockMaxima', 'thirdBest', 'tenthBest'] as const),
];
type Name = (typeof WRITTEN_TERM_BY_TERM)[number];

export class IndexWriter {
  readonly #folder: string;
  readonly #writers: Readonly<Record<Name, FileWriter>>;
  readonly #lengths: Uint32Array;
  readonly #lengthCodes: Uint8Array | Uint32Array;
  /** K of each length code. */
  readonly #K: Float64Array;
  readonly #bounds: TermBounds;
  readonly #totalTerms: number;
  #terms = 0;
  #postings = 0;

  /** @param lengths |d| of each passage */
  constructor(folder: string, lengths: Uint32Array, { k1, b, length }: WriterOptions) {
    this.#folder = folder;
    this.#lengths = lengths;
    this.#totalTerms = lengths.reduce((sum, value) => sum + value, 0);
    const coded = encodeLengths(lengths, length);
    this.#lengthCodes = coded.lengthCodes;
    this.#K = saturations({ ...coded, passages: lengths.length, totalTerms: this.#totalTerms }, k1, b);
    const writers = WRITTEN_TERM_BY_TERM.map((name) => [name, new FileWriter(folder, FILES[name])]);
    this.#writers = Object.fromEntries(writers);
    this.#bounds = new TermBounds((max) => this.#writers.blockMaxima.f32(max));
    this.#writers.postingStarts.u32(0);
  }

  /** The next `count` postings of the present term. */
  postings(positions: Uint32Array, frequencies: Uint32Array, count: number): void {
    const to = this.#writers;
    for (let i = 0; i < count; i++) {
      const position = positions[i]!;
      const tf = frequencies[i]!;
      to.positions.u32(position);
      to.frequencies.u8(Math.min(tf, 255));
      if (tf >= 255) {
        to.largePostings.u32(this.#postings + i);
        to.largeValues.u32(tf);
      }
      this.#bounds.see(tf / (tf + this.#K[this.#lengthCodes[position]!]!));
    }
    this.#postings += count;
  }

  /** Ends the present term. */
  endTerm(term: string): void {
    const to = this.#writers;
    to.termBytes.text(term);
    to.termEnds.u32(to.termBytes.bytes);
    to.postingStarts.u32(this.#postings);
    const { third, tenth } = this.#bounds.finish();
    to.thirdBest.f32(third);
    to.tenthBest.f32(tenth);
    this.#terms += 1;
  }

  /** Ends the files and writes the remaining two: the lengths, and the dictionary's hash table. */
  finish(): Written {
    const files: Record<string, FileSum> = {};
    for (const name of WRITTEN_TERM_BY_TERM) files[FILES[name]] = this.#writers[name].finish();
    const whole = (name: string, values: Uint32Array) => {
      const writer = new FileWriter(this.#folder, name);
      writer.array(values);
      files[name] = writer.finish();
    };
    whole(FILES.lengths, this.#lengths);
    const file = (name: string) => path.join(this.#folder, name);
    const termBytes = readArray(Uint8Array, file(FILES.termBytes), files[FILES.termBytes]!);
    const termEnds = readArray(Uint32Array, file(FILES.termEnds), files[FILES.termEnds]!);
    whole(FILES.termSlots, buildSlots(termBytes, termEnds));
    return { terms: this.#terms, postings: this.#postings, totalTerms: this.#totalTerms, files };
  }

  /** Closes the files of an index that will not be finished. */
  abandon(): void {
    for (const writer of Object.values(this.#writers)) writer.abandon();
  }
}
