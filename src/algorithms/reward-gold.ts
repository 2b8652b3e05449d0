/**
 * Parts of a reward that know how a question is to be searched (rollout/gold.ts).
 *
 *   keys   K = (1/n) Σ_i F1(query, key_i) of the last query that is likest to key i, 0 without one: each query counts for one key
 *          StepSearch (arXiv 2505.15107; Zillwang/StepSearch 43215ba, as coded: a weaker query takes the place of an earlier one)
 *   path   S_ref = (n_cov / n) · (n_cov / n_act)                     Search-P1 (2602.22576): steps covered, of n and of searches made.
 *          Its S_self, which holds the agent to a plan that it has written, needs a plan to be written; it is not here
 */
import { f1 } from '../benchmarks/exact-match.ts';
import type { Gold } from '../rollout/gold.ts';
import type { SearchRecord } from '../rollout/trajectory.ts';

/** K, in [0, 1]. Every step must have a key; of keys that are equally like a query it counts for the first. */
export function keysFound(searches: readonly Pick<SearchRecord, 'query'>[], { steps }: Gold): number {
  const matched = new Float64Array(steps.length);
  for (const { query } of searches) {
    const scores = steps.map(({ key }) => f1(query, [key!]));
    const best = Math.max(...scores);
    if (best > 0) matched[scores.indexOf(best)] = best;
  }
  return matched.reduce((sum, score) => sum + score, 0) / steps.length;
}

/** S_ref, in [0, 1]; 0 without a search. */
export function pathCovered(searches: readonly Pick<SearchRecord, 'passages'>[], { steps }: Gold): number {
  if (searches.length === 0) return 0;
  const returned = new Set(searches.flatMap(({ passages }) => passages.map(({ id }) => id)));
  const covered = steps.filter(({ passage }) => returned.has(passage)).length;
  return (covered / steps.length) * (covered / searches.length);
}
