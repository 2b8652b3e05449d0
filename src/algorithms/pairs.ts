/**
 * Pair mining: for each question an expert trajectory, shown to the teacher, and a student trajectory, on whose tokens the
 * KL is taken (paper, section on self-distillation; ties are ours, docs/method.md).
 *
 * Expert: correct, well formed, fewest searches; then fewest policy tokens, then lowest index.
 * Student: the wrong sibling most different from the expert, else the correct sibling most different from it (or one of the two:
 * `Students`).
 */
import { policyTokenCount, type Trajectory, valid } from '../rollout/trajectory.ts';

export interface Pair {
  readonly expert: Trajectory;
  readonly student: Trajectory;
}

/** Which siblings are students: wrong ones, and right ones where there are none (the paper) · wrong ones alone · right ones alone. */
export type Students = 'wrong-first' | 'wrong' | 'right';

/** The pair of one question's group; undefined when nothing is correct, or nothing differs from the expert. */
export function minePair(
  group: readonly Trajectory[],
  minExpertSearches = 0,
  students: Students = 'wrong-first',
): Pair | undefined {
  const siblings = valid(group);
  const expert = findExpert(siblings, minExpertSearches);
  if (expert === undefined) return undefined;

  const wrong = siblings.filter((t) => t.correct === 0);
  const right = siblings.filter((t) => t !== expert && t.correct === 1);
  const candidates = students === 'wrong' || (students === 'wrong-first' && wrong.length > 0) ? wrong : right;
  let best: { trajectory: Trajectory; difference: Difference } | undefined;
  for (const trajectory of candidates) {
    const difference = differenceOf(trajectory, expert);
    if (difference.some((d) => d > 0) && (best === undefined || isGreater(difference, best.difference)))
      best = { trajectory, difference };
  }
  return best && { expert, student: best.trajectory };
}

/** The most efficient correct, well-formed trajectory; also what the gate shows as expert. */
export function findExpert(group: readonly Trajectory[], minExpertSearches = 0): Trajectory | undefined {
  return valid(group)
    .filter((t) => t.correct === 1 && t.wellFormed && t.searches.length >= minExpertSearches)
    .sort(byEfficiency)[0];
}

/** Fewest searches first, then fewest policy tokens, then lowest index. */
export function byEfficiency(a: Trajectory, b: Trajectory): number {
  return a.searches.length - b.searches.length || policyTokenCount(a) - policyTokenCount(b) || a.rollout - b.rollout;
}

/** How different two trajectories are, in order of weight: searches, query terms, policy tokens. */
export type Difference = readonly [searches: number, terms: number, tokens: number];

export function differenceOf(a: Trajectory, b: Trajectory): Difference {
  return [
    Math.abs(a.searches.length - b.searches.length),
    1 - jaccard(queryTerms(a), queryTerms(b)),
    editDistance(policyTokens(a), policyTokens(b)),
  ];
}

function isGreater(a: Difference, b: Difference): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! > b[i]!;
  return false;
}

function queryTerms(trajectory: Trajectory): Set<string> {
  return new Set(trajectory.searches.flatMap((s) => s.query.toLowerCase().split(/\s+/).filter(Boolean)));
}

function policyTokens(trajectory: Trajectory): number[] {
  return trajectory.ids.filter((_, i) => trajectory.mask[i] === 1);
}

/** |A ∩ B| / |A ∪ B|; 1 for two empty sets. */
export function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  const union = new Set([...a, ...b]).size;
  return union === 0 ? 1 : (a.size + b.size - union) / union;
}

/** Levenshtein distance divided by the longer length, in [0, 1]. */
export function editDistance(a: readonly number[], b: readonly number[]): number {
  if (a.length === 0 && b.length === 0) return 0;
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitution, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]! / Math.max(a.length, b.length);
}
