/**
 * How the sequences of a micro-batch lie in memory: cut at the same positions into levels, with what begins alike kept
 * once.
 *
 *     positions   0 ............ 40 ......... 99 ....... 120 ... 144
 *                 level 0        level 1      level 2    level 3
 *     question 1  prompt ─────── prompt ──┬── rollout ── rollout
 *                                         ├── rollout ── rollout
 *                                         └── rollout          (ends here)
 *     question 2  prompt ─────── prompt ──┬── rollout ── rollout
 *                                         └── rollout ── rollout
 *
 * A segment is what one or more sequences have between two cuts. Sequences share a segment where they have the same ids
 * from their beginning to its end, since the model then computes the same for all of them. All segments of a level have
 * one length, so that a level is one rectangle for attention: queries of the level, keys of the level and of those
 * before it, looked up by each segment's parent. Three things are saved by it: shared prefixes, the half of attention
 * above the diagonal (a level never looks at later ones), and padding (a sequence that ends has no part in later levels).
 */
import type { TokenIds } from '../../../policy/policy.ts';
import { commonLength, compareIds } from './common-prefix.ts';

/** More levels leave less padding and less of the masked half, and cost more copies of keys (docs/log.md). */
export const LEVELS = 8;

export interface Levels {
  /** Segments of each level, [LEVELS]; at least one. */
  readonly counts: Float64Array;
  /** Positions of each level, [LEVELS]; at least one. */
  readonly lengths: Float64Array;
  /** For each segment above level 0, level after level: its parent's number in the level below. */
  readonly parents: Float64Array;
  /** Ids of all slots, [T], T = Σ counts · lengths: level after level, segment after segment; padded with id 0. */
  readonly ids: Float64Array;
  /** Position of each slot in its sequences, [T]. */
  readonly positions: Float64Array;
}

/** Plain data, and where token `position` of the n-th sequence lies in it. */
export interface Layout {
  readonly levels: Levels;
  readonly slotOf: (n: number, position: number) => number;
}

/** Lays out `sequences`, none of them empty. Depends on their ids alone. */
export function layOut(sequences: readonly TokenIds[]): Layout {
  const { leaves, leafOf } = findLeaves(sequences);
  const lengths = leaves.map((ids) => Math.max(ids.length, LEVELS));
  const shared = leaves.map((ids, h) => (h === 0 ? 0 : commonLength(leaves[h - 1]!, ids)));
  const ends = chooseEnds(lengths, shared);

  const counts = new Float64Array(LEVELS);
  const parents: number[] = [];
  const ids: number[] = [];
  const positions: number[] = [];
  /** For each level, the first slot of each leaf's segment. */
  const slots: number[][] = [];
  let below = leaves.map(() => 0);
  for (const [level, end] of ends.entries()) {
    const start = ends[level - 1] ?? 0;
    const segments: number[] = [];
    const first: number[] = [];
    for (const [h, leaf] of leaves.entries()) {
      const ended = lengths[h]! <= start;
      if (ended || shared[h]! >= end) {
        segments.push(segments[h - 1] ?? 0);
        first.push(first[h - 1] ?? 0);
        continue;
      }
      segments.push(counts[level]!);
      first.push(ids.length);
      if (level > 0) parents.push(below[h]!);
      for (let t = start; t < end; t++) {
        ids.push(leaf[t] ?? 0);
        positions.push(t);
      }
      counts[level]! += 1;
    }
    below = segments;
    slots.push(first);
  }
  return {
    levels: {
      counts,
      lengths: Float64Array.from(ends, (end, level) => end - (ends[level - 1] ?? 0)),
      parents: Float64Array.from(parents),
      ids: Float64Array.from(ids),
      positions: Float64Array.from(positions),
    },
    slotOf: (n, position) => {
      const level = ends.findIndex((end) => position < end);
      return slots[level]![leafOf[n]!]! + position - (ends[level - 1] ?? 0);
    },
  };
}

/**
 * The sequences in lexicographic order, without those that are the prefix of another one: whoever begins with a
 * sequence follows it in this order, so that one look back from the end finds them.
 */
function findLeaves(sequences: readonly TokenIds[]): { leaves: TokenIds[]; leafOf: number[] } {
  const order = [...sequences.keys()].sort((a, b) => compareIds(sequences[a]!, sequences[b]!) || a - b);
  const leaves: TokenIds[] = [];
  const leafOf = new Array<number>(sequences.length);
  for (const n of order.toReversed()) {
    const ids = sequences[n]!;
    const leaf = leaves.at(-1);
    if (!leaf || commonLength(ids, leaf) < ids.length) leaves.push(ids);
    leafOf[n] = leaves.length - 1;
  }
  return { leaves: leaves.toReversed(), leafOf: leafOf.map((h) => leaves.length - 1 - h) };
}

/** As many keys as it costs the same to attend to as to compute a token's matrix products, in a small model. */
const KEYS_OF_A_TOKEN = 512;

/**
 * The ends of the levels that cost least, by dynamic programming over candidates. A level from s to e has
 * n(s, e) = #(length > s) − #(shared with the one before ≥ e) segments of e − s tokens, each attending to e keys at most:
 *
 *     cost(s, e) = n(s, e) (e − s) (KEYS_OF_A_TOKEN + e)
 */
function chooseEnds(lengths: readonly number[], shared: readonly number[]): number[] {
  const longest = Math.max(...lengths);
  const grid = Math.max(1, Math.floor(longest / 32));
  const candidates = new Set([0, longest, ...lengths, ...shared]);
  for (let end = grid; end < longest; end += grid) candidates.add(end);
  const ends = [...candidates].sort((a, b) => a - b);
  const longer = ends.map((s) => lengths.filter((length) => length > s).length);
  const joined = ends.map((e) => shared.filter((length) => length >= e).length);

  /** Least cost of reaching candidate j with so many levels, and from which candidate. */
  let least = ends.map((_, j) => (j === 0 ? 0 : Number.POSITIVE_INFINITY));
  const origins: number[][] = [];
  for (let level = 0; level < LEVELS; level++) {
    const from: number[] = [];
    least = ends.map((e, j) => {
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0; i < j; i++) {
        const cost = least[i]! + (longer[i]! - joined[j]!) * (e - ends[i]!) * (KEYS_OF_A_TOKEN + e);
        if (cost < best) {
          best = cost;
          from[j] = i;
        }
      }
      return best;
    });
    origins.push(from);
  }
  const chosen: number[] = [];
  let j = ends.length - 1;
  for (const from of origins.toReversed()) {
    chosen.push(ends[j]!);
    j = from[j]!;
  }
  return chosen.toReversed();
}
