/**
 * BM25 of one term in one passage, in the arithmetic of each length form.
 *
 *   score(q, d) = Σ_{t ∈ q} idf(t) · tf / (tf + K(d))          t with multiplicity m
 *   idf(t)      = ln(1 + (N − df + 0.5) / (df + 0.5))
 *   K(d)        = k1 (1 − b + b · |d| / average)
 *
 * `lucene` computes what Lucene 8.7 computes, to the bit: float32 throughout, a term's score as w − w / (1 + tf / K) with
 * w = m · idf, the sum over the terms in float64, and the total rounded to float32, so that passages whose scores differ
 * by less than that are ties. `exact` computes in float64 and adds a term that stands m times in the query m times.
 * Both add the terms in ascending order, whatever their order in the query.
 */
import { frequencyOf, type IndexArrays } from '../index/arrays.ts';
import { countedPassages, saturations } from '../index/impacts.ts';

/** A term of the index that a query asks for, and how often. */
export interface QueryTerm {
  readonly id: number;
  readonly count: number;
  readonly idf: number;
  /** What an impact of 1 would add to the score: count · idf. */
  readonly weight: number;
}

/**
 * No term's computed score differs from weight · impact (impact = tf / (tf + K)) by more than this share of the weight:
 * `lucene` rounds six times to 24 bits, which makes at most 3.5 · 2⁻²⁴.
 */
export const TERM_ERROR = 2 ** -21;

/** No computed total differs from the sum of its computed terms, added in any order, by more than this share. */
export const TOTAL_ERROR = 2 ** -22;

export interface Formula {
  term(id: number, count: number): QueryTerm;
  /**
   * Adds the scores of postings start ... end−1 to `sums`, which begins at the passage `base`, and lists each passage whose
   * sum was zero in `matched`, counted from `base`. Returns the new number of those listed.
   */
  addAll(
    term: QueryTerm,
    start: number,
    end: number,
    base: number,
    sums: Float64Array,
    matched: Uint32Array,
    matches: number,
  ): number;
  /** Adds the scores of postings start ... end−1 to the sums that are not zero, and leaves the others alone. */
  addMatched(term: QueryTerm, start: number, end: number, base: number, sums: Float64Array): void;
  /** The sum with one posting's score added. */
  add(sum: number, term: QueryTerm, posting: number): number;
  /** The score that a passage with this sum has. */
  total(sum: number): number;
}

export function createFormula(arrays: IndexArrays, k1: number, b: number): Formula {
  return arrays.length === 'lucene' ? new LuceneFormula(arrays, k1, b) : new ExactFormula(arrays, k1, b);
}

const f = Math.fround;

function idfOf({ postingStarts }: IndexArrays, counted: number, id: number): number {
  const df = postingStarts[id + 1]! - postingStarts[id]!;
  return Math.log(1 + (counted - df + 0.5) / (df + 0.5));
}

class LuceneFormula implements Formula {
  readonly #arrays: IndexArrays;
  readonly #counted: number;
  /** 1 / K of each length code; infinite for k1 = 0. */
  readonly #inverses: Float32Array;

  constructor(arrays: IndexArrays, k1: number, b: number) {
    this.#arrays = arrays;
    this.#counted = countedPassages(arrays);
    this.#inverses = Float32Array.from(saturations(arrays, k1, b), (K) => 1 / K);
  }

  term(id: number, count: number): QueryTerm {
    const idf = f(idfOf(this.#arrays, this.#counted, id));
    return { id, count, idf, weight: f(count * idf) };
  }

  addAll(
    { weight }: QueryTerm,
    start: number,
    end: number,
    base: number,
    sums: Float64Array,
    matched: Uint32Array,
    matches: number,
  ): number {
    const { positions, frequencies, lengthCodes } = this.#arrays;
    const inverses = this.#inverses;
    for (let i = start; i < end; i++) {
      const position = positions[i]!;
      let tf = frequencies[i]!;
      if (tf === 255) tf = frequencyOf(this.#arrays, i);
      const score = f(weight - f(weight / f(1 + f(tf * inverses[lengthCodes[position]!]!))));
      const before = sums[position - base]!;
      // A score of zero (a huge K) is no match; otherwise a sum of zero means that no term has matched yet.
      if (before === 0 && score > 0) matched[matches++] = position - base;
      sums[position - base] = before + score;
    }
    return matches;
  }

  addMatched({ weight }: QueryTerm, start: number, end: number, base: number, sums: Float64Array): void {
    const { positions, frequencies, lengthCodes } = this.#arrays;
    const inverses = this.#inverses;
    for (let i = start; i < end; i++) {
      const position = positions[i]!;
      const before = sums[position - base]!;
      if (before === 0) continue;
      let tf = frequencies[i]!;
      if (tf === 255) tf = frequencyOf(this.#arrays, i);
      sums[position - base] = before + f(weight - f(weight / f(1 + f(tf * inverses[lengthCodes[position]!]!))));
    }
  }

  add(sum: number, { weight }: QueryTerm, posting: number): number {
    const { positions, lengthCodes } = this.#arrays;
    const tf = frequencyOf(this.#arrays, posting);
    return sum + f(weight - f(weight / f(1 + f(tf * this.#inverses[lengthCodes[positions[posting]!]!]!))));
  }

  total(sum: number): number {
    return f(sum);
  }
}

class ExactFormula implements Formula {
  readonly #arrays: IndexArrays;
  readonly #counted: number;
  /** K of each length code. */
  readonly #saturations: Float64Array;

  constructor(arrays: IndexArrays, k1: number, b: number) {
    this.#arrays = arrays;
    this.#counted = countedPassages(arrays);
    this.#saturations = saturations(arrays, k1, b);
  }

  term(id: number, count: number): QueryTerm {
    const idf = idfOf(this.#arrays, this.#counted, id);
    return { id, count, idf, weight: count * idf };
  }

  addAll(
    { idf, count }: QueryTerm,
    start: number,
    end: number,
    base: number,
    sums: Float64Array,
    matched: Uint32Array,
    matches: number,
  ): number {
    const { positions, frequencies, lengthCodes } = this.#arrays;
    const saturation = this.#saturations;
    for (let i = start; i < end; i++) {
      const position = positions[i]!;
      let tf = frequencies[i]!;
      if (tf === 255) tf = frequencyOf(this.#arrays, i);
      const score = (idf * tf) / (tf + saturation[lengthCodes[position]!]!);
      let sum = sums[position - base]!;
      if (sum === 0 && score > 0) matched[matches++] = position - base;
      for (let m = 0; m < count; m++) sum += score;
      sums[position - base] = sum;
    }
    return matches;
  }

  addMatched(term: QueryTerm, start: number, end: number, base: number, sums: Float64Array): void {
    const { positions } = this.#arrays;
    for (let i = start; i < end; i++) {
      const place = positions[i]! - base;
      if (sums[place] !== 0) sums[place] = this.add(sums[place]!, term, i);
    }
  }

  add(sum: number, { idf, count }: QueryTerm, posting: number): number {
    const { positions, lengthCodes } = this.#arrays;
    const tf = frequencyOf(this.#arrays, posting);
    const score = (idf * tf) / (tf + this.#saturations[lengthCodes[positions[posting]!]!]!);
    for (let m = 0; m < count; m++) sum += score;
    return sum;
  }

  total(sum: number): number {
    return sum;
  }
}
