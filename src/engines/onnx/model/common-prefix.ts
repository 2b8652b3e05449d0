/** Prefixes that token sequences share: in training (prefix-tree.ts, micro-batches.ts) and in sampling (prefix-store.ts, scheduler.ts). */
import type { TokenIds } from '../../../policy/policy.ts';

/** How many ids two sequences have in common from their start; looks no further than the first `most`. */
export function commonLength(a: TokenIds, b: TokenIds, most = Math.min(a.length, b.length)): number {
  for (let i = 0; i < most; i++) if (a[i] !== b[i]) return i;
  return most;
}

/** Lexicographic order. */
export function compareIds(a: TokenIds, b: TokenIds): number {
  const shared = commonLength(a, b);
  return shared < a.length && shared < b.length ? a[shared]! - b[shared]! : a.length - b.length;
}
