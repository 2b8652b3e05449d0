/** Teaching by the teacher's tokens, over a table whose every probability can be computed here: what is asked, and what of it trains. */
import { describe, expect, it } from 'vitest';
import type { PromptedPair } from '../algorithms/distill.ts';
import { makeTrajectory } from '../algorithms/trajectory.testing.ts';
import { Random, streamKey } from '../base/random.ts';
import type { Capabilities, Policy, PolicyGradientBatch, SoftCrossEntropyBatch } from '../policy/policy.ts';
import { bigramPolicy } from '../policy/testing/bigram-policy.ts';
import { presets } from './presets.ts';
import type { Run } from './run.ts';
import type { Settings } from './settings.ts';
import { teachingOf } from './teaching.ts';

const V = 5;
const random = new Random(streamKey('teaching.test'));
const Z = Array.from({ length: V * V }, () => 1.5 * random.normal());
/** log π(v | u). */
const logOf = (u: number, v: number) =>
  Z[u * V + v]! - Math.log(Z.slice(u * V, (u + 1) * V).reduce((sum, z) => sum + Math.exp(z), 0));

const student = makeTrajectory({ ids: [2, 3, 1], mask: [1, 0, 1], logprobs: [-1, -1, -1] });
const pair: PromptedPair = { shown: null, student, mask: [1, 0, 1], studentPrompt: [0], teacherPrompt: [1, 4] };
/** Tokens before each row: the last of the prompt, then the student's own. */
const before = { teacher: [4, 2, 3], student: [0, 2, 3] };

function taught(distill: Partial<Settings['distill']>, capabilities: Partial<Capabilities>) {
  const table = bigramPolicy({ pieces: ['a', 'b', 'c', 'd', 'e'], contextLength: 50, logit: (u, v) => Z[u * V + v]! });
  const asked: string[] = [];
  const policy: Policy = {
    ...table,
    capabilities: { ...table.capabilities, divergences: [], ...capabilities },
    async topLogprobs(rows, k, weights) {
      asked.push(`top ${k} ${weights}`);
      return rows.map(({ ids, start }) => {
        const likeliest = ids.slice(start).flatMap((_, row) => {
          const u = ids[start + row - 1]!;
          const order = Array.from({ length: V }, (_, v) => v).sort((a, b) => logOf(u, b) - logOf(u, a));
          return order.slice(0, k).map((v) => [v, logOf(u, v)] as const);
        });
        return {
          tokens: Int32Array.from(likeliest, ([v]) => v),
          logprobs: Float32Array.from(likeliest, ([, logprob]) => logprob),
        };
      });
    },
    async logprobs(sequences, weights, watch) {
      asked.push(`tokens ${weights}`);
      return table.logprobs(sequences, weights, watch);
    },
  };
  const settings = {
    ...presets.smoke,
    distill: { ...presets.smoke.distill, teacherTemperature: 1, clip: null, ...distill },
  };
  const run = { settings, setup: { policy }, training: (_: unknown, work: (watch: object) => unknown) => work({}) };
  return { teaching: teachingOf(run as unknown as Run, 'e1-1', 'forward-kl', [pair]), asked, policy };
}
const result = { loss: 0, tokens: 2, metrics: {} };

/** KL(teacher ‖ student) of a row over the tokens that `within` has. */
const klOf = (row: number, within: readonly number[] = [0, 1, 2, 3, 4]) =>
  within.reduce((sum, v) => {
    const [p, q] = [logOf(before.teacher[row]!, v), logOf(before.student[row]!, v)];
    return sum + Math.exp(p) * (p - q);
  }, 0);
const likeliest = (row: number, k: number) =>
  [0, 1, 2, 3, 4].sort((a, b) => logOf(before.teacher[row]!, b) - logOf(before.teacher[row]!, a)).slice(0, k);

describe('teaching by soft targets', () => {
  it('asks the frozen teacher once, at the start, and then no more', async () => {
    const { teaching, asked, policy } = taught({ topK: V }, { softTargets: 'non-negative', topLogprobs: V });
    await policy.freeze();
    await teaching.atStart();
    await teaching.step([pair], {});
    await teaching.step([pair], {});
    expect(asked).toEqual([`top ${V} frozen`]);
    expect(teaching.reads([pair])).toEqual([[0, 2, 3, 1]]);
  });

  it('has the teacher’s distributions under its own prompt as targets, and the exact KL as its figure, when K is all of the vocabulary', async () => {
    const { teaching } = taught({ topK: V }, { softTargets: 'non-negative', topLogprobs: V });
    await teaching.atStart();
    const step = await teaching.step([pair], {});
    const { sequences, denominator } = step.batch as SoftCrossEntropyBatch;
    const { ids, start, k, tokens, weights } = sequences[0]!;
    expect([ids, start, k, denominator]).toEqual([[0, 2, 3, 1], 1, V, 2]);
    for (const row of [0, 2])
      for (let i = row * V; i < (row + 1) * V; i++)
        expect(weights[i]).toBeCloseTo(Math.exp(logOf(before.teacher[row]!, tokens[i]!)), 6);
    expect([...weights.subarray(V, 2 * V)]).toEqual([0, 0, 0, 0, 0]);

    // What the engine would give back: −Σ p log q.
    const crossEntropy = [0, 2].map((row) =>
      [0, 1, 2, 3, 4].reduce(
        (sum, v) => sum - Math.exp(logOf(before.teacher[row]!, v)) * logOf(before.student[row]!, v),
        0,
      ),
    );
    const loss = (crossEntropy[0]! + crossEntropy[1]!) / 2;
    const perToken = [Float32Array.of(crossEntropy[0]!, 0, crossEntropy[1]!)];
    const figures = step.metrics({ ...result, loss, perToken });
    expect(figures).toMatchObject({ lesson: `top-k ${V}`, kl: null, entropy: null });
    expect(figures!.truncatedKl).toBeCloseTo((klOf(0) + klOf(2)) / 2, 6);
    expect(figures!.teacherMass).toBeCloseTo(1, 6);
    const byToken = step.divergences({ ...result, loss, perToken })![0]!;
    expect(byToken[0]).toBeCloseTo(klOf(0), 5);
    expect(byToken[1]).toBe(0);
    expect(byToken[2]).toBeCloseTo(klOf(2), 5);
    // An engine that reports no losses by token leaves them unknown: never 0.
    expect(step.divergences(result)).toBeUndefined();
  });

  it('sees the student as well where the tail is a category of its own, whose KL is that of K + 1 classes', async () => {
    const { teaching, asked } = taught({ topK: 2 }, { softTargets: 'signed', topLogprobs: V });
    await teaching.atStart();
    const step = await teaching.step([pair], {});
    expect(asked).toEqual(['top 2 frozen', `top ${V} present`]);
    expect(teaching.reads([pair])).toHaveLength(2);
    const byToken = step.divergences(result)![0]!;
    const expected = [0, 2].map((row) => {
      const top = likeliest(row, 2);
      const mass = (u: number) => top.reduce((sum, v) => sum + Math.exp(logOf(u, v)), 0);
      const [restP, restQ] = [1 - mass(before.teacher[row]!), 1 - mass(before.student[row]!)];
      return klOf(row, top) + restP * Math.log(restP / restQ);
    });
    expect(byToken[0]).toBeCloseTo(expected[0]!, 5);
    expect(byToken[2]).toBeCloseTo(expected[1]!, 5);
    const figures = step.metrics(result);
    expect(figures).toMatchObject({ lesson: 'tail 2' });
    expect(figures!.truncatedKl).toBeCloseTo((expected[0]! + expected[1]!) / 2, 5);
  });

  it('judges the student’s own tokens by their ratio where an engine has no targets at all', async () => {
    const { teaching, asked, policy } = taught({}, { softTargets: 'none', topLogprobs: 0 });
    await policy.freeze();
    await teaching.atStart();
    const step = await teaching.step([pair], {});
    expect(asked).toEqual(['tokens frozen', 'tokens present']);
    const { sequences, denominator } = step.batch as PolicyGradientBatch;
    const ratio = (row: number) =>
      Math.exp(logOf(before.teacher[row]!, student.ids[row]!) - logOf(before.student[row]!, student.ids[row]!));
    const { advantages, mask } = sequences[0]!;
    expect([...mask]).toEqual([0, 1, 0, 1]);
    expect(denominator).toBe(2);
    expect(advantages[1]).toBeCloseTo(Math.min(10, ratio(0)) - 1, 5);
    expect(advantages[3]).toBeCloseTo(Math.min(10, ratio(2)) - 1, 5);
    expect(step.metrics(result)).toMatchObject({ lesson: 'sampled', kl: null, clipFraction: null });
    expect(step.divergences(result)).toBeUndefined();
  });

  it('is the engine’s own divergence where it has one, and asks nothing beforehand', async () => {
    const { teaching, asked } = taught({}, { divergences: ['forward-kl'] });
    await teaching.atStart();
    const step = await teaching.step([pair], {});
    expect(asked).toEqual([]);
    expect(step.batch).toMatchObject({ loss: 'forward-kl', denominator: 2 });
    expect(step.metrics({ ...result, loss: 0.5, metrics: { divergence: 0.25 } })).toMatchObject({
      loss: 0.5,
      kl: 0.25,
    });
  });
});
