/** Ranking by scoring every posting of the query's terms. */
import type { IndexArrays } from '../index/arrays.ts';
import type { Formula, QueryTerm } from './formula.ts';
import type { Top } from './top.ts';

export class Exhaustive {
  readonly #arrays: IndexArrays;
  readonly #formula: Formula;
  /** Sum of each passage; all zero between searches. */
  readonly #sums: Float64Array;
  /** The passages whose sum is not zero, while a search runs. */
  readonly #matched: Uint32Array;

  constructor(arrays: IndexArrays, formula: Formula) {
    this.#arrays = arrays;
    this.#formula = formula;
    this.#sums = new Float64Array(arrays.passages);
    this.#matched = new Uint32Array(arrays.passages);
  }

  /** Offers every passage that matches; the terms ascend. */
  search(terms: readonly QueryTerm[], top: Top): void {
    const starts = this.#arrays.postingStarts;
    let matches = 0;
    for (const term of terms)
      matches = this.#formula.addAll(
        term,
        starts[term.id]!,
        starts[term.id + 1]!,
        0,
        this.#sums,
        this.#matched,
        matches,
      );
    for (let i = 0; i < matches; i++) {
      const position = this.#matched[i]!;
      const sum = this.#sums[position]!;
      this.#sums[position] = 0;
      top.offer(position, this.#formula.total(sum));
    }
  }
}
