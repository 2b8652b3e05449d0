/** BM25 over a loaded index: from the terms of a query to the positions and scores of its k best passages. */
import type { Impacts, IndexArrays } from '../index/arrays.ts';
import { termId } from '../index/dictionary.ts';
import { Exhaustive } from './exhaustive.ts';
import { createFormula, type Formula, type QueryTerm } from './formula.ts';
import { MaxScore } from './max-score.ts';
import { type Ranked, Top } from './top.ts';

export interface RankingSettings {
  /** Saturation of the term frequency, ≥ 0. */
  readonly k1: number;
  /** Weight of the passage's length, in [0, 1]. */
  readonly b: number;
  /** Which of equal scores comes first: the rank of each passage; default: its position. See ties.ts. */
  readonly order?: Uint32Array | undefined;
}

/** Below this many passages scoring every posting is faster than finding out which ones can be skipped. */
const FEW_PASSAGES = 20_000;

/** Searches one query at a time; holds working memory for it, so every thread has a ranker of its own over shared arrays. */
export class Ranker {
  readonly #arrays: IndexArrays;
  readonly #formula: Formula;
  readonly #order: Uint32Array | undefined;
  readonly #search: (terms: readonly QueryTerm[], k: number, top: Top) => void;

  /** Without `impacts`, or for few passages, every posting is scored. The impacts have to be those of k1 and b. */
  constructor(arrays: IndexArrays, { k1, b, order }: RankingSettings, impacts?: Impacts) {
    if (!(k1 >= 0 && k1 < Number.POSITIVE_INFINITY)) throw new RangeError(`k1 must be at least 0, not ${k1}`);
    if (!(b >= 0 && b <= 1)) throw new RangeError(`b must lie in [0, 1], not ${b}`);
    if (impacts !== undefined && (impacts.k1 !== k1 || impacts.b !== b))
      throw new RangeError(`the impacts are those of k1 ${impacts.k1} and b ${impacts.b}, not of ${k1} and ${b}`);
    this.#arrays = arrays;
    this.#order = order;
    this.#formula = createFormula(arrays, k1, b);
    if (impacts === undefined || arrays.passages < FEW_PASSAGES) {
      const exhaustive = new Exhaustive(arrays, this.#formula);
      this.#search = (terms, _, top) => exhaustive.search(terms, top);
    } else {
      const maxScore = new MaxScore(arrays, impacts, this.#formula);
      this.#search = (terms, k, top) => maxScore.search(terms, k, top);
    }
  }

  /** The k best passages that share a term with the query, best first. @throws RangeError for a bad k */
  rank(terms: readonly QueryTerm[], k: number): Ranked {
    checkDepth(k);
    const top = new Top(k, this.#order);
    this.#search(terms, k, top);
    return top.take();
  }

  /** The index's terms among those that the analyzer gives, ascending: all that a query's list depends on besides k. */
  queryTerms(terms: readonly string[]): QueryTerm[] {
    const counts = new Map<number, number>();
    for (const term of terms) {
      const id = termId(this.#arrays.dictionary, term);
      if (id >= 0) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return [...counts].sort(([x], [y]) => x - y).map(([id, count]) => this.#formula.term(id, count));
  }
}

/** @throws RangeError when this is no number of passages to ask for */
export function checkDepth(k: number): void {
  if (!Number.isInteger(k) || k < 1) throw new RangeError(`k must be a whole number of at least 1, not ${k}`);
}
