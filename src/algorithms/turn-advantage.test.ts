/** Values of searches and the advantages made of them: by hand, and against the formulas once more in float64. */
import { describe, expect, it } from 'vitest';
import { turnsOf } from '../protocol/authors.ts';
import type { Gold } from '../rollout/gold.ts';
import type { SearchRecord, Trajectory } from '../rollout/trajectory.ts';
import { groupAdvantages, weighGroups } from './grpo.ts';
import { makeStep, turnsTrajectory } from './step.testing.ts';
import { type TurnForm, weighTurns } from './turn-advantage.ts';
import { searchValues, turnValues } from './turn-values.ts';

const found = (...ids: string[]): Pick<SearchRecord, 'passages'> => ({
  passages: ids.map((id) => ({ id, title: id, score: 1 })),
});
const chain: Gold = { steps: ['a', 'b'].map((passage) => ({ passage, key: null })), ordered: true };
const anyOrder: Gold = { ...chain, ordered: false };

describe('the value of a search', () => {
  const searches = [found('b', 'x'), found('b', 'y'), found('a', 'x'), found()];

  it('is the share of gold passages that it adds', () => {
    expect(searchValues('gain', searches, chain)).toEqual([0.5, 0, 0.5, 0]);
  });

  it('less the share of what was seen before', () => {
    // b again; x again; nothing returned repeats nothing.
    expect(searchValues('gain-less-repeats', searches, chain)).toEqual([0.5, -0.5, 0, 0]);
  });

  it("is what StepSearch's code gives, where passages are alike or have no word in common", () => {
    // Zillwang/StepSearch 43215ba, verl/utils/reward_score/qa_step.py, `step_information_gain` run on passages of different words.
    const gold: Gold = { steps: ['a', 'b', 'c'].map((passage) => ({ passage, key: null })), ordered: true };
    const five = [found('b', 'x'), found('b', 'y'), found('a', 'x', 'b'), found(), found('c', 'a')];
    const gains = [0.333333, 0, 0.333333, 0, 0.333333];
    const penalties = [0, 0.5, 0.666667, 0, 0.5];
    expect(searchValues('gain', five, gold)).toEqual(gains.map((x) => expect.closeTo(x, 5)));
    expect(searchValues('gain-less-repeats', five, gold)).toEqual(
      gains.map((x, t) => expect.closeTo(x - penalties[t]!, 5)),
    );
  });

  it('by a critic is good where it brings what was next', () => {
    // b comes before its turn; then a is still open, and found third.
    expect(searchValues('critic', searches, chain)).toEqual([-1, -1, 1, -1]);
    expect(searchValues('critic', searches, anyOrder)).toEqual([1, -1, 1, -1]);
  });

  it('stands at the turn that searched, and turns without a search have none', async () => {
    const trajectory = turnsTrajectory([[1], [2], [3]], [[50], [51]], {});
    const searched = { ...trajectory, searches: [{ query: 'q', turn: 1, ...found('a') }] };
    const { step } = makeStep({ groups: [[searched]], gold: chain });
    expect((await turnValues('gain', step)).get(searched)).toEqual([null, 0.5, null]);
  });

  it('of a question of which nothing is known is refused', async () => {
    const { step } = makeStep({ groups: [[turnsTrajectory([[1]], [])]] });
    await expect(turnValues('critic', step)).rejects.toThrow('nothing is known of question q1');
  });

  it('by likelihood is what the gold answer gained: exp of its mean log-probability', async () => {
    const trajectory: Trajectory = {
      ...turnsTrajectory([[1], [2], [3]], [[50], [51, 52]]),
      searches: [0, 1].map((turn) => ({ query: 'q', turn, ...found() })),
    };
    // The longer the history, the likelier: log p = −1 / length, the two words of the answer at −1/n and −1/n.
    const { step, asked } = makeStep({
      groups: [[trajectory]],
      logprob: (sequence, n) =>
        n >= sequence.length - 2 ? -1 / sequence.length - (n === sequence.length - 1 ? 0.5 : 0) : -99,
    });
    const values = (await turnValues('answer-likelihood', step)).get(trajectory)!;
    expect(asked.map((ids) => ids.slice(3))).toEqual([
      [700, 701, 702],
      [1, 50, 700, 701, 702],
      [1, 50, 2, 51, 52, 700, 701, 702],
    ]);
    const p = asked.map(({ length }) => Math.exp((-1 / length - (1 / length + 0.5)) / 2));
    expect(values[0]).toBeCloseTo(p[1]! - p[0]!, 6);
    expect(values[1]).toBeCloseTo(p[2]! - p[1]!, 6);
    expect(values[2]).toBeNull();
  });

  it('by likelihood is 0 where the history leaves no room for the answer', async () => {
    const trajectory = { ...turnsTrajectory([[1], [2]], [[50, 51]]), searches: [{ query: 'q', turn: 0, ...found() }] };
    const { step, asked } = makeStep({ groups: [[trajectory]], logprob: () => -1, contextLength: 8 });
    expect((await turnValues('answer-likelihood', step)).get(trajectory)).toEqual([0, null]);
    expect(asked).toHaveLength(1);
  });
});

/** Searches in all turns but the last, each returning these ids. */
const rollout = (reward: number, index: number, ...returned: string[][]): Trajectory => ({
  ...turnsTrajectory(
    [...returned.map(() => [1, 2]), [3]],
    returned.map(() => [50]),
    { reward, rollout: index },
  ),
  searches: returned.map((ids, turn) => ({ query: 'q', turn, ...found(...ids) })),
});
const group = [rollout(1, 0, ['a'], ['b']), rollout(0, 1, ['x'], ['x']), rollout(0.5, 2, ['b']), rollout(0, 3)];
const gains = [[0.5, 0.5], [0, 0], [0.5], []];

async function turnAdvantages(
  form: Omit<TurnForm, 'form' | 'of'>,
  scale: 'deviation' | 'none',
  of: TurnForm['of'] = 'gain',
) {
  const { step } = makeStep({ groups: [group], gold: anyOrder });
  const weighted = await weighTurns(step, { form: 'turn', of, ...form }, scale);
  return weighted.map(({ trajectory, advantage }) => {
    const stream = advantage as Float32Array;
    const turns = turnsOf(trajectory.mask);
    // One number a turn, and 0 where the environment wrote.
    for (const { start, end } of turns) expect(new Set(stream.subarray(start, end)).size).toBe(1);
    for (const [n, own] of trajectory.mask.entries()) if (own === 0) expect(stream[n]).toBe(0);
    return turns.map(({ start }) => stream[start]!);
  });
}

/** (x − mean) / (std + 1e-6) over all. */
function norm(lists: readonly (readonly number[])[], divided = true): number[][] {
  const all = lists.flat();
  const center = all.reduce((s, x) => s + x, 0) / all.length;
  const deviation = Math.sqrt(all.reduce((s, x) => s + (x - center) ** 2, 0) / (all.length - 1));
  return lists.map((list) => list.map((x) => (x - center) / (divided ? deviation + 1e-6 : 1)));
}
const close = (lists: readonly (readonly number[])[]) => lists.map((list) => list.map((x) => expect.closeTo(x, 5)));

describe('advantages turn by turn', () => {
  it('added, returns normalised (StepSearch)', async () => {
    // w .6, γ 1: R of (1; .5 .5) is (1.6, 1.3, 1), of (0; 0 0) zeros, of (.5; .5) (.8, .5), of (0) 0.
    const returns = [[1.6, 1.3, 1], [0, 0, 0], [0.8, 0.5], [0]];
    const mix = { by: 'add', add: 0.6, norm: 'returns' } as const;
    expect(await turnAdvantages({ discount: 1, mix }, 'deviation')).toEqual(close(norm(returns)));
    expect(await turnAdvantages({ discount: 1, mix }, 'none')).toEqual(close(norm(returns, false)));
  });

  it('added, values normalised, then summed (IGPO)', async () => {
    const values = norm([[0.5, 0.5, 1], [0, 0, 0], [0.5, 0.5], [0]]);
    const summed = values.map((list) => list.map((_, t) => list.slice(t).reduce((sum, x, k) => sum + 0.9 ** k * x, 0)));
    const mix = { by: 'add', add: 1, norm: 'values' } as const;
    expect(await turnAdvantages({ discount: 0.9, mix }, 'deviation')).toEqual(close(summed));
  });

  it('shared with the outcome (CriticSearch): the answer has the outcome alone', async () => {
    const outcome = groupAdvantages(group.map(({ reward }) => reward));
    const ofSearches = norm(gains);
    const wanted = group.map((_, i) => [
      ...gains[i]!.map((_, t) => 0.25 * ofSearches[i]![t]! + 0.75 * outcome[i]!),
      outcome[i]!,
    ]);
    expect(await turnAdvantages({ discount: 0, mix: { by: 'share', share: 0.25 } }, 'deviation')).toEqual(
      close(wanted),
    );
  });

  it('with nothing of their own are GRPO', async () => {
    const plain = weighGroups([group]).map(({ advantage }) => Math.fround(advantage as number));
    for (const turns of await turnAdvantages({ discount: 0, mix: { by: 'share', share: 0 } }, 'deviation').then((all) =>
      all.entries(),
    ))
      for (const a of turns[1]) expect(a).toBe(plain[turns[0]]);
  });

  it('are exactly 0 where values and outcomes are all the same', async () => {
    const same = [0, 1].map((i) => rollout(1, i, ['a']));
    const { step } = makeStep({ groups: [same], gold: anyOrder });
    const share = { by: 'share', share: 0.5 } as const;
    for (const { advantage } of await weighTurns(
      step,
      { form: 'turn', of: 'critic', discount: 0, mix: share },
      'deviation',
    ))
      expect((advantage as Float32Array).every((x) => x === 0)).toBe(true);
  });
});
