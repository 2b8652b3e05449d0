/**
 * A BM25 index in memory: typed arrays over SharedArrayBuffers and nothing else, so that it is read from files without
 * being parsed, and sent to any number of worker threads (a structured clone) without being copied.
 *
 * Sizes: N passages, T terms, P postings (pairs of a term and a passage that has it), B blocks of at most 128 postings.
 * A passage is known by its position 0 ... N−1 in the corpus, a term by its rank 0 ... T−1 among the terms in the order
 * of JavaScript's string comparison. The arrays of one corpus and analyzer are the same however they were built.
 *
 * Memory: 5 P + 4 T (dictionary's slots: 8-16 T, and the terms' bytes) + 8 T (starts) + 1 or 4 N; `Impacts` add 4 B + 8 T.
 */

import { UserError } from '../../base/errors.ts';

/** How a passage's length |d| enters its score: as Lucene rounds it, to one byte, or as it is. */
export type LengthForm = 'lucene' | 'exact';

/** Postings of one term stand in blocks of this many, the last one shorter. */
export const BLOCK = 128;

export interface IndexArrays {
  /** N ≥ 1. */
  readonly passages: number;
  /** Σ|d| over all passages, unrounded also under `lucene`; the average length follows from it (impacts.ts, `saturations`). */
  readonly totalTerms: number;
  readonly length: LengthForm;
  /**
   * Code of each passage's length, N entries; `codeLengths[lengthCodes[position]]` is |d| as the score takes it.
   * Anything that depends on a passage by its length alone is best kept in a table of codes: for a given k1 and b,
   * K[code] = k1 (1 − b + b · codeLengths[code] / average) serves both forms alike.
   * `lucene`: the byte of SmallFloat.intToByte4. `exact`: the rank of |d| among the lengths that occur.
   */
  readonly lengthCodes: Uint8Array | Uint32Array;
  /** Length of each code, ascending. `lucene`: 256 entries. `exact`: the lengths that occur. */
  readonly codeLengths: Uint32Array;
  readonly dictionary: Dictionary;
  /** The postings of term t are entries postingStarts[t] ... postingStarts[t+1]−1 of the next two; T + 1 entries, P < 2^32. */
  readonly postingStarts: Uint32Array;
  /** Position of the passage, ascending within a term; P entries. */
  readonly positions: Uint32Array;
  /** How often the term occurs in the passage, tf in [1, 254], or 255: look it up by `frequencyOf`; P entries. */
  readonly frequencies: Uint8Array;
  /** The postings with tf ≥ 255, exactly. */
  readonly largeFrequencies: LargeFrequencies;
  /** The blocks of term t are blockStarts[t] ... blockStarts[t+1]−1 of `Impacts.blockMaxima`; T + 1 entries. */
  readonly blockStarts: Uint32Array;
}

/** Terms by rank and by name; see dictionary.ts for `termId`. */
export interface Dictionary {
  /** All terms in UTF-8, one after the other, in ascending order. */
  readonly bytes: Uint8Array;
  /** Term t is bytes[ends[t−1]] ... bytes[ends[t]−1], from 0 for the first; T entries. */
  readonly ends: Uint32Array;
  /** Hash table with open addressing, a power of two of at least 2 T slots: t + 1, or 0 for an empty slot. */
  readonly slots: Uint32Array;
}

export interface LargeFrequencies {
  /** Index into `positions` and `frequencies`, ascending. */
  readonly postings: Uint32Array;
  /** tf ≥ 255 of that posting. */
  readonly values: Uint32Array;
}

/**
 * What lets a search skip postings: bounds on the impact of a posting,
 *
 *   impact = tf / (tf + K),   K = k1 (1 − b + b · |d| / average),
 *
 * for one k1, b and length form. A term adds multiplicity · idf · impact to a score. Persisted for the k1 and b that the
 * index was built with; for others they are computed at opening by one pass over the postings (see impacts.ts).
 */
export interface Impacts {
  readonly k1: number;
  readonly b: number;
  /** At least the largest impact in each block: the float64 value rounded up to float32; B entries. */
  readonly blockMaxima: Float32Array;
  /** At most the third best impact of each term (float64, rounded down to float32), 0 for terms with fewer postings; T entries. */
  readonly thirdBest: Float32Array;
  /** The same for the tenth best: the start threshold of a search for up to ten passages. */
  readonly tenthBest: Float32Array;
}

/** tf of a posting. */
export function frequencyOf({ frequencies, largeFrequencies }: IndexArrays, posting: number): number {
  const frequency = frequencies[posting]!;
  return frequency < 255 ? frequency : largeFrequency(largeFrequencies, posting);
}

function largeFrequency({ postings, values }: LargeFrequencies, posting: number): number {
  let [low, high] = [0, postings.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (postings[middle]! < posting) low = middle + 1;
    else high = middle;
  }
  return values[low]!;
}

/** The blocks' starts that go with the postings' starts. */
export function blockStartsOf(postingStarts: Uint32Array): Uint32Array {
  const starts = sharedArray(Uint32Array, postingStarts.length);
  for (let t = 0; t + 1 < starts.length; t++)
    starts[t + 1] = starts[t]! + Math.ceil((postingStarts[t + 1]! - postingStarts[t]!) / BLOCK);
  return starts;
}

/** A typed array that threads share. */
export function sharedArray<A>(
  type: { new (buffer: SharedArrayBuffer): A; readonly BYTES_PER_ELEMENT: number },
  length: number,
): A {
  const bytes = length * type.BYTES_PER_ELEMENT;
  try {
    return new type(new SharedArrayBuffer(bytes));
  } catch (error) {
    // What the system cannot give.
    if (!(error instanceof RangeError)) throw error;
    throw new UserError(`out of memory: an array of the index needs ${(bytes / 1e9).toFixed(1)} GB`, { cause: error });
  }
}
