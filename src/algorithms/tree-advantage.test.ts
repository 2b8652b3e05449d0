/** Tree-GRPO's advantages: against the formula once more in float64, and against numbers of the authors' code. */
import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import { weighGroups } from './grpo.ts';
import { turnsTrajectory } from './step.testing.ts';
import { makeTrajectory } from './trajectory.testing.ts';
import { readOnce, weighTrees } from './tree-advantage.ts';

const leaf = (tree: number, reward: number, rollout: number, questionId = 'q1') =>
  makeTrajectory({ questionId, rollout, reward, branch: { tree, from: 0 } });
const advantages = (group: readonly (readonly Trajectory[])[], scale: 'deviation' | 'none' = 'deviation') =>
  weighTrees(group, scale).map(({ advantage }) => advantage as number);

/** The definition: every leaf against all of its question, and against all of its tree. */
function plainly(group: readonly Trajectory[], divided: boolean): number[] {
  const norm = (r: number, all: readonly number[]) => {
    if (all.length < 2 || all.every((x) => x === all[0])) return 0;
    const center = all.reduce((sum, x) => sum + x, 0) / all.length;
    const variance = all.reduce((sum, x) => sum + (x - center) ** 2, 0) / (all.length - 1);
    return (r - center) / (divided ? Math.sqrt(variance) + 1e-6 : 1);
  };
  const rewards = (of: readonly Trajectory[]) => of.map(({ reward }) => reward);
  return group.map(
    ({ reward, branch }) =>
      norm(reward, rewards(group)) + norm(reward, rewards(group.filter((t) => t.branch!.tree === branch!.tree))),
  );
}

describe('advantages within and between trees', () => {
  /**
   * AMAP-ML/Tree-GRPO 90b1709, verl/trainer/ppo: ray_trainer_ts.py (`tree`) adds up what core_algos.py's
   * `compute_grpo_outcome_advantage` gives by question and by tree. Six leaves of two trees, put through that function.
   */
  it("are those of the authors' code", () => {
    const group = [1, 0.2, 0.2].map((r, i) => leaf(0, r, i)).concat([0.8, 0.1, 0].map((r, i) => leaf(1, r, 3 + i)));
    expect(advantages([group])).toEqual(
      [2.651799, -1.022433, -1.022433, 2.158631, -1.146688, -1.618876].map((x) => expect.closeTo(x, 5)),
    );
  });

  it('are the definition, on drawn rewards', () => {
    const random = new Random(streamKey('trees'));
    const groups = ['q1', 'q2', 'q3', 'q4'].map((id) =>
      Array.from({ length: 6 }, (_, i) => leaf(Math.floor(i / 3), random.choice([0, 0.1, 0.2, 0.8, 1]), i, id)),
    );
    for (const scale of ['deviation', 'none'] as const)
      expect(advantages(groups, scale)).toEqual(
        groups.flatMap((group) => plainly(group, scale === 'deviation').map((x) => expect.closeTo(x, 9))),
      );
  });

  it('are exactly 0 within a tree of equal rewards, and twice GRPO where there is one tree', () => {
    const group = [1, 1, 0, 0].map((r, i) => leaf(Math.floor(i / 2), r, i));
    const between = weighGroups([group]).map(({ advantage }) => advantage);
    expect(advantages([group])).toEqual(between);
    const single = group.map((t) => ({ ...t, branch: { tree: 0, from: 0 } }));
    expect(advantages([single])).toEqual(between.map((a) => 2 * (a as number)));
  });

  it('leave failures out of both sets, and a leaf that is left alone has that of its question', () => {
    const group: Trajectory[] = [leaf(0, 1, 0), { ...leaf(0, 0, 1), stop: 'deadline' }, leaf(1, 0, 2), leaf(1, 1, 3)];
    const rest = group.filter(({ stop }) => stop === 'answered');
    expect(weighTrees([group], 'deviation').map(({ trajectory }) => trajectory)).toEqual(rest);
    expect(advantages([group])).toEqual(plainly(rest, true).map((x) => expect.closeTo(x, 9)));
  });

  it('ask for trees', () => {
    expect(() => weighTrees([[makeTrajectory()]], 'none')).toThrow('a rollout of question q1 is of no tree');
  });
});

describe('what is read of leaves', () => {
  const part = (tree: number, rollout: number) => ({ rollout, branch: { tree, from: 3 } });
  const [a, b, c] = [
    turnsTrajectory(
      [
        [1, 2],
        [3, 4],
      ],
      [[50]],
      part(0, 0),
    ),
    turnsTrajectory(
      [
        [1, 2],
        [3, 9, 9],
      ],
      [[50]],
      part(0, 1),
    ),
    turnsTrajectory(
      [
        [1, 2],
        [3, 4],
      ],
      [[50]],
      part(1, 2),
    ),
  ] as const;

  it('is what they share once, within a tree; prompts each time', () => {
    // Prompts of 3: 3 + 5, 3 + (6 − 4), and the other tree's leaf whole.
    expect(readOnce([a, b, c]).map(({ length }) => length)).toEqual([8, 5, 8]);
    expect(readOnce([b, a]).map(({ length }) => length)).toEqual([9, 4]);
    expect(readOnce([a, { ...b, questionId: 'q2' }]).map(({ length }) => length)).toEqual([8, 9]);
  });

  it('is all of it where there is no tree', () => {
    const chains = [a, b].map(({ branch: _, ...chain }) => chain);
    expect(readOnce(chains).map(({ length }) => length)).toEqual([8, 9]);
  });
});
