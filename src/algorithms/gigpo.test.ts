/** GiGPO against a plain computation in two passes, over sets found by comparing every turn with every other. */
import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import { stretches, turnsOf } from '../protocol/authors.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import { weighStates } from './gigpo.ts';
import { weighGroups } from './grpo.ts';
import { turnsTrajectory } from './step.testing.ts';

const [A, B] = [[50, 51], [60]];
const rollout = (correct: 0 | 1, index: number, ...seen: (readonly number[])[]) =>
  turnsTrajectory([...seen.map(() => [1, 2]), [3]], seen, { correct, rollout: index });
const ofTurns = ({ trajectory, advantage }: { trajectory: Trajectory; advantage: unknown }) =>
  turnsOf(trajectory.mask).map(({ start }) => (advantage as Float32Array)[start]!);

/** The definition, in float64: for each turn all turns of its question that began alike. */
function plainly(
  groups: readonly (readonly Trajectory[])[],
  weight: number,
  discount: number,
  divided: boolean,
): number[][] {
  const norm = (x: number, all: readonly number[]) => {
    if (all.length < 2 || all.every((y) => y === all[0])) return 0;
    const center = all.reduce((s, y) => s + y, 0) / all.length;
    const deviation = Math.sqrt(all.reduce((s, y) => s + (y - center) ** 2, 0) / (all.length - 1));
    return divided ? (x - center) / (deviation + 1e-6) : x - center;
  };
  return groups.flatMap((group) => {
    const turns = group.flatMap((t, of) => {
      const own = stretches(t.mask).filter(({ author }) => author === 'policy');
      const before = [[], ...stretches(t.mask).filter(({ author }) => author === 'environment')];
      return own.map((_, i) => {
        const b = before[i]!;
        const anchor = Array.isArray(b) ? '' : String(t.ids.slice(b.start, b.end));
        return { of, anchor, value: t.reward * discount ** (own.length - 1 - i) };
      });
    });
    return group.map((t, of) =>
      turns
        .filter((turn) => turn.of === of)
        .map((turn) => {
          const set = turns.filter(({ anchor }) => anchor === turn.anchor).map(({ value }) => value);
          const whole = norm(
            t.reward,
            group.map(({ reward }) => reward),
          );
          return whole + weight * norm(turn.value, set);
        }),
    );
  });
}

describe('GiGPO', () => {
  it('by hand: two rollouts of one question that saw the same passages, one that saw others', () => {
    const group = [rollout(1, 0, A), rollout(0, 1, A), rollout(1, 2, B)];
    const [first, second, third] = weighStates([group], { weight: 1, discount: 0.5 }, 'none').map(ofTurns);
    // A_E: 1/3, −2/3, 1/3. First turns: returns .5, 0, .5, mean 1/3. Behind A: 1 and 0, mean ½; alone behind B: 0.
    expect(first).toEqual([1 / 3 + 1 / 6, 1 / 3 + 1 / 2].map((x) => expect.closeTo(x, 6)));
    expect(second).toEqual([-2 / 3 - 1 / 3, -2 / 3 - 1 / 2].map((x) => expect.closeTo(x, 6)));
    expect(third).toEqual([1 / 3 + 1 / 6, 1 / 3].map((x) => expect.closeTo(x, 6)));
  });

  it("is what the authors' code gives", () => {
    // gigpo/core_gigpo.py of cq-dong/verl-agent 6dd7d66 run on four rollouts: `compute_step_discounted_returns` with γ .95,
    // `build_step_group`, `step_norm_reward`, and `episode_norm_reward` with its mean over rollouts (compute_mean_std_cross_steps=False).
    const [C, D] = [[70, 71], [80]];
    const group = [rollout(1, 0, A, B), rollout(0, 1, A), rollout(1, 2, A, C, B), rollout(0, 3, D, A)];
    const vectors = {
      none: [
        [0.962531, 0.986875, 0.5],
        [-0.939969, -0.963125],
        [0.917406, 0.939375, 0.5, 0.5],
        [-0.939969, -0.5, -0.963125],
      ],
      deviation: [
        [1.775861, 1.775861, 0.866024],
        [-1.731479, -1.731479],
        [1.687096, 1.687097, 0.866024, 0.866024],
        [-1.731479, -0.866024, -1.731479],
      ],
    };
    for (const scale of ['none', 'deviation'] as const)
      expect(weighStates([group], { weight: 1, discount: 0.95 }, scale).map(ofTurns)).toEqual(
        vectors[scale].map((turns) => turns.map((x) => expect.closeTo(x, 5))),
      );
  });

  it('is the definition, on drawn groups', () => {
    const random = new Random(streamKey('gigpo'));
    const groups = Array.from({ length: 6 }, (_, q) =>
      Array.from({ length: 5 }, (_, i) =>
        turnsTrajectory(
          ...(() => {
            const seen = Array.from({ length: random.below(4) }, () => random.choice([A, B, [70, 71]]));
            return [[...seen.map(() => [1, 2]), [3]], seen] as const;
          })(),
          { questionId: `q${q}`, rollout: i, reward: random.choice([0, 0, 0.5, 1]) },
        ),
      ),
    );
    for (const scale of ['none', 'deviation'] as const)
      for (const [weight, discount] of [
        [1, 0.95],
        [0.5, 1],
        [2, 0],
      ] as const) {
        const found = weighStates(groups, { weight, discount }, scale).map(ofTurns);
        const wanted = plainly(groups, weight, discount, scale === 'deviation');
        expect(found).toEqual(wanted.map((turns) => turns.map((x) => expect.closeTo(x, 5))));
      }
  });

  it('at weight 0 is GRPO, and what the environment wrote has the advantage that nobody reads', () => {
    const group = [rollout(1, 0, A), rollout(0, 1, B)];
    const plain = weighGroups([group]).map(({ advantage }) => Math.fround(advantage as number));
    expect(weighStates([group], { weight: 0, discount: 1 }, 'deviation').map(ofTurns)).toEqual(
      plain.map((a) => [a, a]),
    );
  });

  it('has sets within a question only, and exactly 0 where all came out alike', () => {
    const same = (q: string, correct: 0 | 1) => [0, 1].map((i) => ({ ...rollout(correct, i, A), questionId: q }));
    const found = weighStates([same('q1', 1), same('q2', 0)], { weight: 1, discount: 1 }, 'deviation');
    for (const turns of found.map(ofTurns)) expect(turns).toEqual([0, 0]);
  });

  it('prices turns when it discounts, and does not when it does not', () => {
    const group = [rollout(1, 0), rollout(1, 1, A)];
    const [short, long] = weighStates([group], { weight: 1, discount: 0.9 }, 'none').map(ofTurns);
    expect(short![0]).toBeCloseTo(0.05, 6);
    expect(long![0]).toBeCloseTo(-0.05, 6);
    for (const turns of weighStates([group], { weight: 1, discount: 1 }, 'none').map(ofTurns))
      expect(turns.every((a) => a === 0)).toBe(true);
  });
});
