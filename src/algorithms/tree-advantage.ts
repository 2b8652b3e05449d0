/**
 * Tree-GRPO (arXiv 2509.21240; AMAP-ML/Tree-GRPO 90b1709, `adv_estimator=tree`): each leaf is compared with all leaves of its
 * question, and once more with those of its own tree alone, with which it shares its beginning.
 *
 *   A = norm(r over the leaves of the question) + norm(r over the leaves of the tree)         on all tokens of the leaf's path
 *
 * norm(x) = (x − mean)/(std_{n−1} + 1e-6), or x − mean: grpo.scale. Equal rewards, and a leaf alone, are exactly 0.
 * What leaves share is trained once a leaf, as in the source, so that it has the sum of their advantages.
 */
import type { Trajectory } from '../rollout/trajectory.ts';
import { type Scale, trainedIds, type Weighted, weighGroups } from './grpo.ts';

/** Rollouts have to be branches (rollout/tree.ts). */
export interface TreeForm {
  readonly form: 'tree';
}

export function weighTrees(groups: readonly (readonly Trajectory[])[], scale: Scale): Weighted[] {
  return groups.flatMap((group) => {
    const trees = [...Map.groupBy(group, treeOf).values()];
    const within = new Map(weighGroups(trees, scale).map(({ trajectory, advantage }) => [trajectory, advantage]));
    return weighGroups([group], scale).map(({ trajectory, advantage }) => ({
      trajectory,
      advantage: (advantage as number) + (within.get(trajectory) as number),
    }));
  });
}

function treeOf({ branch, questionId }: Trajectory): number {
  if (branch === undefined) throw new RangeError(`a rollout of question ${questionId} is of no tree`);
  return branch.tree;
}

/**
 * How many tokens an engine reads for these sequences: all of each, but what leaves of one tree have in common once. (The prompts
 * of a group count for each of its rollouts, in a tree as without one.)
 */
export function readOnce(trajectories: readonly Trajectory[]): { readonly length: number }[] {
  const earlier = new Map<string, Trajectory[]>();
  return trajectories.map((trajectory) => {
    const { questionId, branch, ids } = trajectory;
    const { length } = trainedIds(trajectory);
    if (branch === undefined) return { length };
    const tree = `${branch.tree} ${questionId}`;
    const siblings = earlier.get(tree) ?? [];
    earlier.set(tree, [...siblings, trajectory]);
    const shared = Math.max(0, ...siblings.map((sibling) => commonLength(sibling.ids, ids)));
    return { length: length - shared };
  });
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n += 1;
  return n;
}
