/** Wrong rollouts taught by a right sibling: who is, and the loss against the definition in float64. */
import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import type { SoftTargets, TopLogprobs } from '../policy/policy.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import { weighGroups } from './grpo.ts';
import { routed } from './routed.ts';
import { makeStep, SHOWS, turnsTrajectory } from './step.testing.ts';
import { makeTrajectory } from './trajectory.testing.ts';

const VOCABULARY = 5;
/** A distribution over five tokens for each place of each sequence, sharper or flatter, the same for the same place. */
function distributionAt(ids: readonly number[], n: number): number[] {
  const random = new Random(streamKey('teacher', ids.length, n));
  const scores = Array.from({ length: VOCABULARY }, () => Math.exp(random.uniform() * 6 * random.uniform()));
  const all = scores.reduce((sum, x) => sum + x, 0);
  return scores.map((x) => x / all);
}

function topOf(sequences: readonly Pick<SoftTargets, 'ids' | 'start'>[], k: number): TopLogprobs[] {
  return sequences.map(({ ids, start }) => {
    const rows = Array.from({ length: ids.length - start }, (_, n) =>
      distributionAt(ids, n)
        .map((p, token) => ({ p, token }))
        .sort((a, b) => b.p - a.p)
        .slice(0, k),
    );
    return {
      tokens: Int32Array.from(rows.flatMap((row) => row.map(({ token }) => token))),
      logprobs: Float32Array.from(rows.flatMap((row) => row.map(({ p }) => Math.log(p)))),
    };
  });
}

const right = turnsTrajectory([[1, 2], [3]], [[50]], { correct: 1, rollout: 0 });
const wrong = turnsTrajectory([[7], [8, 9]], [[60, 61]], { correct: 0, rollout: 1 });
const hopeless = makeTrajectory({ questionId: 'q2', correct: 0, reward: 0.5 });
const lost = makeTrajectory({ questionId: 'q2', correct: 0, rollout: 1 });
const groups = [
  [right, wrong],
  [hopeless, lost],
];

async function route(k = VOCABULARY, weight = 0.7, options: Parameters<typeof makeStep>[0] = { groups }) {
  const { step } = makeStep(options);
  const asked: (readonly number[])[] = [];
  const found = await routed({ weight, topK: k }, weighGroups(options.groups), step, async (sequences, most) => {
    asked.push(...sequences.map(({ ids }) => ids));
    return topOf(sequences, most);
  });
  return { ...found, asked };
}

describe('routing', () => {
  it('distils what is wrong and has a right sibling to see; all else is reinforced', async () => {
    const { weighted, batch, figures, asked } = await route();
    const plain = weighGroups(groups);
    expect(weighted.map(({ trajectory }) => trajectory)).toEqual([right, wrong, hopeless, lost]);
    expect(weighted.map(({ advantage }) => advantage)).toEqual([
      plain[0]!.advantage,
      0,
      plain[2]!.advantage,
      plain[3]!.advantage,
    ]);
    expect(plain[2]!.advantage).not.toBe(0);
    expect(asked).toEqual([[SHOWS, 1, right.ids[0], ...wrong.ids]]);
    expect(batch!.sequences.map(({ ids, start }) => [ids, start])).toEqual([[[...wrong.prompt, ...wrong.ids], 3]]);
    expect([...batch!.sequences[0]!.mask]).toEqual([1, 0, 0, 1, 1]);
    expect(figures.routed).toBe(0.25);
  });

  it('has the loss of its definition, and the gradient of its weights', async () => {
    const student = (n: number) => distributionAt([0, 0, 0], n + 100);
    for (const weight of [0.7, 2]) {
      const { batch, figures, entropy, asked } = await route(VOCABULARY, weight);
      const [{ tokens, weights, k }] = batch!.sequences as [SoftTargets];
      let [taught, wanted, share] = [0, 0, 0];
      for (const n of [0, 3, 4]) {
        const q = distributionAt(asked[0]!, n);
        const p = student(n);
        const h = -q.reduce((sum, x) => sum + x * Math.log(x), 0);
        wanted += Math.exp(-h) * q.reduce((sum, x, v) => sum + x * (Math.log(x) - Math.log(p[v]!)), 0);
        share += Math.exp(-h) / 3;
        for (let i = 0; i < k; i++) taught -= weights[n * k + i]! * Math.log(p[tokens[n * k + i]!]!);
        // dL/dlogits = Σ_k w (p − onehot): e^−H λ (p − q), by its sum and by entry.
        const own = weights.subarray(n * k, (n + 1) * k);
        for (const [i, w] of own.entries()) expect(w).toBeCloseTo(weight * Math.exp(-h) * q[tokens[n * k + i]!]!, 6);
      }
      // Policy tokens of all four: 3, 3, 4 and 4.
      expect(batch!.denominator).toBe(14);
      expect(taught / 14 - entropy).toBeCloseTo((weight * wanted) / 14, 6);
      expect(figures.routedWeight).toBeCloseTo(share, 6);
      for (const n of [1, 2]) expect([...weights.subarray(n * k, (n + 1) * k)].every((w) => w === 0)).toBe(true);
    }
  });

  it('teaches the likeliest tokens alone where asked to, as they are', async () => {
    const [whole, short] = [await route(), await route(2)];
    const [all, two] = [whole.batch!.sequences[0]!, short.batch!.sequences[0]!];
    expect([...two.tokens.subarray(0, 2)]).toEqual([...all.tokens.subarray(0, 2)]);
    const q = distributionAt(short.asked[0]!, 0).sort((a, b) => b - a);
    const h = -q.slice(0, 2).reduce((sum, x) => sum + x * Math.log(x), 0);
    for (const i of [0, 1]) expect(two.weights[i]).toBeCloseTo(0.7 * Math.exp(-h) * q[i]!, 6);
  });

  it('asks nobody and leaves everything as it is where there is nothing to show, or no room', async () => {
    const none: readonly (readonly Trajectory[])[] = [[hopeless, lost]];
    for (const options of [{ groups: none }, { groups, contextLength: 7 }]) {
      const { weighted, batch, figures, asked, entropy } = await route(2, 1, options);
      expect([batch, asked, figures, entropy]).toEqual([undefined, [], { routed: 0, routedWeight: null }, 0]);
      expect(weighted).toEqual(weighGroups(options.groups));
    }
  });
});
