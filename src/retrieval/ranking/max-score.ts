/**
 * MaxScore (Turtle and Flood 1995) over windows of passages: the same list as scoring every posting, from a fraction of them.
 *
 * A window's postings of a term add at most its bound, weight · the largest of its blocks' maxima. The terms are sorted by
 * bound; the first ones, whose bounds together cannot lift a passage into the k best, are not essential: passages are
 * collected from the essential terms alone, and the other terms are added, the highest bound first, to those that can
 * still get there.
 *
 *   essential: the fewest terms such that Σ bounds of all others < threshold
 *
 * Scores are rounded, and rounding depends on the order of addition, so every comparison with the threshold leaves room
 * for it (`TERM_ERROR`, `TOTAL_ERROR`); who passes is scored again, term by term in ascending order. Hence the list is the
 * exhaustive one by construction.
 */
import { BLOCK, type Impacts, type IndexArrays } from '../index/arrays.ts';
import { type Formula, type QueryTerm, TERM_ERROR, TOTAL_ERROR } from './formula.ts';
import type { Top } from './top.ts';

/** Passages a window: its sums stay in the processor's cache, and the bounds of its few blocks are close. */
const WINDOW = 1 << 13;

/** A look-up takes as long as so many postings gone through. */
const LOOK_UP = 16;

/** A term of the query on its way through its postings. */
interface Cursor {
  readonly term: QueryTerm;
  /** Its first posting, and the end of its postings. */
  readonly start: number;
  readonly end: number;
  /** Its postings in the present window are next ... windowEnd−1. */
  next: number;
  windowEnd: number;
  /** Where in the window the last look-up ended: candidates come in ascending runs, so the next one is mostly near. */
  hint: number;
  /** The most that it adds to a score in this window. */
  bound: number;
}

export class MaxScore {
  readonly #arrays: IndexArrays;
  readonly #impacts: Impacts;
  readonly #formula: Formula;
  readonly #window: number;
  /** Sum of each passage of the window; all zero between windows. */
  readonly #sums: Float64Array;
  readonly #matched: Uint32Array;

  constructor(arrays: IndexArrays, impacts: Impacts, formula: Formula, window = WINDOW) {
    this.#arrays = arrays;
    this.#impacts = impacts;
    this.#formula = formula;
    this.#window = window;
    this.#sums = new Float64Array(window);
    this.#matched = new Uint32Array(window);
  }

  /** Offers at least all passages that belong to the k best; the terms ascend. */
  search(terms: readonly QueryTerm[], k: number, top: Top): void {
    const { passages, postingStarts: starts } = this.#arrays;
    const cursors = terms.map((term): Cursor => {
      const [start, end] = [starts[term.id]!, starts[term.id + 1]!];
      return { term, start, end, next: start, windowEnd: start, hint: start, bound: 0 };
    });
    // By bound, the lowest first; from one window to the next little changes.
    const sorted = [...cursors];
    let threshold = this.#startThreshold(terms, k);
    for (let base = 0; base < passages; base += this.#window) {
      for (const cursor of cursors) this.#enterWindow(cursor, base + this.#window);
      sortByBound(sorted);
      threshold = this.#searchWindow(cursors, sorted, base, threshold, top);
    }
  }

  /** At most the k-th best score: the k-th best impact of a single term already gives k passages. */
  #startThreshold(terms: readonly QueryTerm[], k: number): number {
    const best = k <= 3 ? this.#impacts.thirdBest : this.#impacts.tenthBest;
    if (k > 10) return 0;
    let threshold = 0;
    for (const { id, weight } of terms) threshold = Math.max(threshold, weight * (best[id]! - TERM_ERROR));
    return lowered(threshold);
  }

  /** Moves the cursor on to its postings before passage `until`, and finds their bound. */
  #enterWindow(cursor: Cursor, until: number): void {
    const { positions, blockStarts } = this.#arrays;
    const { start, end, windowEnd: next, term } = cursor;
    cursor.next = next;
    cursor.hint = next;
    cursor.bound = 0;
    if (next === end || positions[next]! >= until) return;
    cursor.windowEnd = gallop(positions, next, end, until);
    const blocks = blockStarts[term.id]!;
    const lastBlock = blocks + Math.floor((cursor.windowEnd - 1 - start) / BLOCK);
    let impact = 0;
    for (let block = blocks + Math.floor((next - start) / BLOCK); block <= lastBlock; block++)
      impact = Math.max(impact, this.#impacts.blockMaxima[block]!);
    cursor.bound = term.weight * (impact + TERM_ERROR);
  }

  /** Offers the window's passages that may belong to the best; returns the new threshold. */
  #searchWindow(
    cursors: readonly Cursor[],
    sorted: readonly Cursor[],
    base: number,
    threshold: number,
    top: Top,
  ): number {
    const [formula, sums, matched] = [this.#formula, this.#sums, this.#matched];
    let essential = 0;
    let rest = 0;
    while (essential < sorted.length && rest + sorted[essential]!.bound < threshold) rest += sorted[essential++]!.bound;

    let matches = 0;
    for (let i = essential; i < sorted.length; i++) {
      const { term, next, windowEnd } = sorted[i]!;
      matches = formula.addAll(term, next, windowEnd, base, sums, matched, matches);
    }
    matches = this.#keep(matches, threshold - rest);
    for (let i = essential - 1; i >= 0 && matches > 0; i--) {
      this.#addTo(matches, sorted[i]!, base);
      rest -= sorted[i]!.bound;
      matches = this.#keep(matches, threshold - rest);
    }

    for (let match = 0; match < matches; match++) {
      const place = matched[match]!;
      const sum = sums[place]!;
      sums[place] = 0;
      if (sum < threshold) continue;
      top.offer(base + place, this.#score(cursors, base + place));
      if (top.full) threshold = Math.max(threshold, lowered(top.worst));
    }
    return threshold;
  }

  /** Keeps those of the first `matches` whose sum is at least `least`; returns how many. The others' sums are cleared. */
  #keep(matches: number, least: number): number {
    const [sums, matched] = [this.#sums, this.#matched];
    let kept = 0;
    for (let match = 0; match < matches; match++) {
      const place = matched[match]!;
      if (sums[place]! >= least) matched[kept++] = place;
      else sums[place] = 0;
    }
    return kept;
  }

  /** Adds a term's scores to the passages kept: by going through its postings, or by looking up the few passages. */
  #addTo(matches: number, cursor: Cursor, base: number): void {
    const [formula, sums, matched] = [this.#formula, this.#sums, this.#matched];
    const { term, next, windowEnd } = cursor;
    if (windowEnd - next < matches * LOOK_UP) {
      formula.addMatched(term, next, windowEnd, base, sums);
      return;
    }
    for (let match = 0; match < matches; match++) {
      const place = matched[match]!;
      const posting = find(this.#arrays.positions, cursor, base + place);
      if (posting >= 0) sums[place] = formula.add(sums[place]!, term, posting);
    }
  }

  /** The score, its terms added in ascending order. */
  #score(cursors: readonly Cursor[], position: number): number {
    let sum = 0;
    for (const cursor of cursors) {
      const posting = find(this.#arrays.positions, cursor, position);
      if (posting >= 0) sum = this.#formula.add(sum, cursor.term, posting);
    }
    return this.#formula.total(sum);
  }
}

/** In place, by insertion. */
function sortByBound(cursors: Cursor[]): void {
  for (let i = 1; i < cursors.length; i++) {
    const cursor = cursors[i]!;
    let at = i;
    for (; at > 0 && cursors[at - 1]!.bound > cursor.bound; at--) cursors[at] = cursors[at - 1]!;
    cursors[at] = cursor;
  }
}

/** A sum below this cannot become a score of `score`, however it was rounded. */
function lowered(score: number): number {
  return score * (1 - TOTAL_ERROR);
}

/** The first of positions[start ... end−1] that is at least `until`, or `end`. */
function gallop(positions: Uint32Array, start: number, end: number, until: number): number {
  let [low, step] = [start, 1];
  while (low + step <= end && positions[low + step - 1]! < until) {
    low += step;
    step *= 2;
  }
  let high = Math.min(low + step - 1, end);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (positions[middle]! < until) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where among the cursor's postings of the window this position stands, or −1. */
function find(positions: Uint32Array, cursor: Cursor, position: number): number {
  const { next, windowEnd, hint } = cursor;
  const start = hint > next && positions[hint - 1]! >= position ? next : hint;
  const found = gallop(positions, start, windowEnd, position);
  cursor.hint = found;
  return found < windowEnd && positions[found] === position ? found : -1;
}
