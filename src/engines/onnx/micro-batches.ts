/**
 * Cuts a batch into micro-batches of sequences of like length, so that little is padding and memory stays bounded.
 *
 * The cut depends on lengths and positions alone, so the same input gives the same cut, and results go back to their
 * sequences by index.
 */
import type { TokenIds } from '../../policy/policy.ts';
import { BLOCKS } from './transformer.ts';

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
  /** Padded length S. */
  readonly length: number;
  /** Σ positions: R. */
  readonly rows: number;
}

export interface Limits {
  /** Padded tokens of a micro-batch; a single longer sequence is let through. */
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

/** Most of a micro-batch that may be padding: where lengths differ more, a smaller one wastes less. */
const MOST_PADDING = 1 / 8;

/** Longest first; sequences without positions are left out, since nothing depends on them. */
export function cutMicroBatches(items: readonly Work[], limits: Limits): MicroBatch[] {
  const sorted = items
    .filter(({ positions }) => positions.length > 0)
    .sort((a, b) => b.ids.length - a.ids.length || a.index - b.index);
  const batches: MicroBatch[] = [];
  let current: Work[] = [];
  let rows = 0;
  let real = 0;
  const close = () => {
    if (current.length > 0) batches.push({ work: current, length: paddedLength(current), rows });
    current = [];
    rows = 0;
    real = 0;
  };
  for (const item of sorted) {
    const longest = current[0]?.ids.length ?? item.ids.length;
    const padded = (current.length + 1) * longest;
    const tooLarge = padded > limits.tokens || rows + item.positions.length > limits.rows;
    if (tooLarge || padded - real - item.ids.length > MOST_PADDING * padded) close();
    current.push(item);
    real += item.ids.length;
    rows += item.positions.length;
  }
  close();
  return batches;
}

/** The longest length, and at least what the graphs need. */
export function paddedLength(work: readonly Work[]): number {
  return Math.max(BLOCKS, ...work.map(({ ids }) => ids.length));
}

/** The ids of a micro-batch, [N, S] flat, padded on the right with id 0. */
export function paddedIds({ work, length }: MicroBatch): Float64Array {
  const padded = new Float64Array(work.length * length);
  for (const [n, { ids }] of work.entries()) {
    for (let s = 0; s < ids.length; s++) padded[n * length + s] = ids[s]!;
  }
  return padded;
}

/** The flat positions [R] of a micro-batch's rows. */
export function flatRows({ work, length, rows }: MicroBatch): Float64Array {
  const flat = new Float64Array(rows);
  let row = 0;
  for (const [n, { positions }] of work.entries()) {
    for (const position of positions) flat[row++] = n * length + position;
  }
  return flat;
}

/** Calls `visit` for each row of a micro-batch with its sequence's index and the token it predicts (position + 1). */
export function forEachRow({ work }: MicroBatch, visit: (row: number, index: number, token: number) => void): void {
  let row = 0;
  for (const { index, positions } of work) {
    for (const position of positions) visit(row++, index, position + 1);
  }
}
