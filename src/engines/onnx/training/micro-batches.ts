/**
 * Cuts a batch into micro-batches of bounded memory. Sequences that begin alike come together, and what they share is
 * computed once (prefix-tree.ts): the prompt of a group's rollouts, and every turn that several of them have in common.
 *
 * The cut depends on ids and positions alone, so the same input gives the same cut, and results go back to their
 * sequences by index.
 */
import type { TokenIds } from '../../../policy/policy.ts';
import { commonLength, compareIds } from '../model/common-prefix.ts';
import { type Levels, layOut } from '../model/prefix-tree.ts';

/** What of one sequence is computed. */
export interface Work {
  /** Place in the caller's batch. */
  readonly index: number;
  /** Up to the last token that anything depends on. */
  readonly ids: TokenIds;
  /** Rising positions in `ids` at which the next token's distribution is needed: position p predicts token p + 1. */
  readonly positions: readonly number[];
}

export interface MicroBatch {
  readonly work: readonly Work[];
  /** Σ positions: R. Row r is the r-th position, work after work. */
  readonly rows: number;
  readonly levels: Levels;
  /** The distinct slots that rows read, [U], U ≤ R: sequences that share a slot may each have a row for it. */
  readonly slots: Float64Array;
  /** Which of `slots` each row reads, [R]. */
  readonly reads: Float64Array;
}

export interface Limits {
  /** Tokens of a micro-batch, shared ones once, padding not counted; a single longer sequence is let through. */
  readonly tokens: number;
  /** Rows of a micro-batch; a single sequence with more is let through. */
  readonly rows: number;
}

/** The work of a sequence whose tokens t with mask[t] ≠ 0 are read by a loss. Token 0 has no context: never read. */
export function workOf(index: number, ids: TokenIds, mask: ArrayLike<number>): Work {
  const positions: number[] = [];
  for (let t = 1; t < ids.length; t++) if (mask[t] !== 0) positions.push(t - 1);
  return work(index, ids, positions);
}

/** The same for a continuation: mask is over `ids`, whose first token has the prompt for its context. */
export function continuationWork(index: number, prompt: TokenIds, ids: TokenIds, mask: ArrayLike<number>): Work {
  const positions: number[] = [];
  for (let n = 0; n < ids.length; n++) if (mask[n] !== 0) positions.push(prompt.length + n - 1);
  return work(index, [...prompt, ...ids], positions);
}

function work(index: number, ids: TokenIds, positions: readonly number[]): Work {
  const last = positions.at(-1);
  return { index, ids: last === undefined ? [] : ids.slice(0, last + 1), positions };
}

/**
 * Cuts work into micro-batches, in lexicographic order of the ids, so that what begins alike comes together; work without
 * positions is left out, since nothing depends on it. As few micro-batches as the limits allow, and of those cuts the one
 * with the least Σ fill²: equal parts, and no cut through a long shared prefix, which both sides would have to compute.
 */
export function cutMicroBatches(items: readonly Work[], limits: Limits): MicroBatch[] {
  const sorted = items
    .filter(({ positions }) => positions.length > 0)
    .sort((a, b) => compareIds(a.ids, b.ids) || a.index - b.index);
  const shared = sorted.map(({ ids }, i) => (i === 0 ? 0 : commonLength(sorted[i - 1]!.ids, ids)));

  /** The best cut of the first `end` items: micro-batches, Σ fill², and the first item of the last one. */
  const best = [{ count: 0, squares: 0, from: 0 }];
  for (let end = 1; end <= sorted.length; end++) {
    let [tokens, rows] = [0, 0];
    let chosen = { count: Number.POSITIVE_INFINITY, squares: 0, from: 0 };
    for (let from = end - 1; from >= 0; from--) {
      // The first item of a micro-batch is computed whole, each later one from where it departs from the one before.
      const { ids, positions } = sorted[from]!;
      tokens += ids.length - (from + 1 < end ? shared[from + 1]! : 0);
      rows += positions.length;
      const fill = Math.max(tokens / limits.tokens, rows / limits.rows);
      if (fill > 1 && from < end - 1) break;
      const count = best[from]!.count + 1;
      const squares = best[from]!.squares + fill ** 2;
      if (count < chosen.count || (count === chosen.count && squares < chosen.squares))
        chosen = { count, squares, from };
    }
    best.push(chosen);
  }
  const batches: MicroBatch[] = [];
  for (let end = sorted.length; end > 0; end = best[end]!.from)
    batches.push(microBatch(sorted.slice(best[end]!.from, end)));
  return batches.reverse();
}

/** A micro-batch of all of `work`, each with at least one position, rows in this order. */
export function microBatch(work: readonly Work[]): MicroBatch {
  const { levels, slotOf } = layOut(work.map(({ ids }) => ids));
  const numbers = new Map<number, number>();
  const reads: number[] = [];
  for (const [n, { positions }] of work.entries()) {
    for (const position of positions) {
      const slot = slotOf(n, position);
      if (!numbers.has(slot)) numbers.set(slot, numbers.size);
      reads.push(numbers.get(slot)!);
    }
  }
  return {
    work,
    rows: reads.length,
    levels,
    slots: Float64Array.from(numbers.keys()),
    reads: Float64Array.from(reads),
  };
}

/** Calls `visit` for each row of a micro-batch with its sequence's index and the token it predicts (position + 1). */
export function forEachRow({ work }: MicroBatch, visit: (row: number, index: number, token: number) => void): void {
  let row = 0;
  for (const { index, positions } of work) {
    for (const position of positions) visit(row++, index, position + 1);
  }
}
