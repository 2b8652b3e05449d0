/** Credit against a plain computation of the papers' formulas, and what must hold of it whatever the numbers are. */
import { describe, expect, it } from 'vitest';
import { type Credit, contradictionIn, scoredPasses, withCredit } from './credit.ts';
import { weighGroups } from './grpo.ts';
import { makeStep, SHOWS, turnsTrajectory } from './step.testing.ts';

const base: Credit = {
  sees: 'right-sibling',
  against: 'plain',
  apply: { by: 'weight', weight: 0.5, clip: 0.2 },
  over: 'token',
  fallsOver: 0,
};

/** Two turns of two and one tokens; the sampler's log-probabilities stand in the trajectory. */
const rollout = (first: number, correct: 0 | 1, questionId = 'q1', searches = 1) =>
  turnsTrajectory([[first, 11], [12]], [[50, 51]], {
    correct,
    questionId,
    rollout: first,
    logprobs: [-1, -2, 0, 0, -0.5],
    queries: Array.from({ length: searches }, () => 'x'),
  });
const groups = [
  [rollout(1, 1), rollout(2, 0), rollout(3, 1, 'q1', 2), rollout(4, 0, 'q1', 3)],
  [rollout(5, 1, 'q2'), rollout(6, 1, 'q2')],
  [rollout(7, 0, 'q3'), rollout(8, 0, 'q3')],
];
/** A number by what a prompt shows and where the token stands: different for all of them, and exact in float32. */
const logprob = (sequence: readonly number[], n: number) =>
  -((sequence[1]! * 3 + (sequence[2] ?? 0) * 5 + sequence[n]! + n) % 16) / 8;
/** What is scored of a response behind such a prompt, at token n. */
const scored = (question: number, shown: readonly number[], ids: readonly number[], n: number) =>
  logprob([SHOWS, question, ...shown, ...ids], 2 + shown.length + n);

async function run(credit: Credit, at = 1, options: Partial<Parameters<typeof makeStep>[0]> = {}) {
  const { step, asked } = makeStep({ groups, logprob, ...options });
  const plain = weighGroups(step.groups);
  return { plain, asked, ...(await withCredit(credit, plain, step, at)) };
}

/** Who is shown to whom: the right one of fewest searches that is not the reader itself; 0 = nobody. */
const right: Record<number, number> = { 1: 3, 2: 1, 3: 1, 4: 1, 5: 6, 6: 5, 7: 0, 8: 0 };
const wrong: Record<number, number> = { 1: 2, 2: 4, 3: 2, 4: 2, 5: 0, 6: 0, 7: 8, 8: 7 };
const questionOf = (first: number) => (first <= 4 ? 1 : first <= 6 ? 2 : 3);

/** The formulas once more, in float64 and token by token. */
function expected(credit: Credit, first: number, ids: readonly number[], mask: readonly number[], a: number, fall = 1) {
  const shown = credit.sees === 'right-sibling' ? right[first]! : wrong[first]!;
  const q = questionOf(first);
  const logprobs = [-1, -2, 0, 0, -0.5];
  const delta = ids.map((_, n) => {
    if (mask[n] === 0) return 0;
    const privileged = scored(q, [shown], ids, n);
    if (credit.against === 'reference-alone') return privileged - scored(0, [shown], ids, n);
    if (credit.against === 'wrong-sibling' && wrong[first]! > 0) return privileged - scored(q, [wrong[first]!], ids, n);
    return privileged - logprobs[n]!;
  });
  const d = credit.over === 'token' ? delta : [delta[0]! + delta[1]!, delta[0]! + delta[1]!, 0, 0, delta[4]!];
  return d.map((x, n) => {
    if (mask[n] === 0) return 0;
    const { apply } = credit;
    if (apply.by === 'add') return a + fall * apply.add * x;
    if (apply.by === 'gate') return a + fall * apply.gate * (1 / (1 + Math.exp(-apply.slope * x)) - apply.less);
    const lambda = fall * apply.weight;
    const w = Math.exp(Math.sign(a) * x);
    return a * (1 - lambda + lambda * Math.max(1 - apply.clip, Math.min(1 + apply.clip, w)));
  });
}

describe('credit', () => {
  const forms: Credit['apply'][] = [
    { by: 'weight', weight: 0.5, clip: 0.2 },
    { by: 'weight', weight: 1, clip: 0.5 },
    { by: 'add', add: 0.25 },
    { by: 'gate', gate: 0.5, slope: 5, less: 0 },
    { by: 'gate', gate: 0.5, slope: 5, less: 0.5 },
  ];
  it.each(forms)('%o is the formula, for each reference and over tokens or turns', async (apply) => {
    for (const sees of ['right-sibling', 'wrong-sibling'] as const)
      for (const against of ['plain', 'wrong-sibling', 'reference-alone'] as const)
        for (const over of ['token', 'turn'] as const) {
          if (sees === 'wrong-sibling' && against === 'wrong-sibling') continue;
          const credit: Credit = { ...base, sees, against, over, apply };
          const { weighted, plain } = await run(credit);
          for (const [i, { trajectory, advantage }] of weighted.entries()) {
            const first = trajectory.ids[0]!;
            const shown = sees === 'right-sibling' ? right[first] : wrong[first];
            const a = plain[i]!.advantage as number;
            if (shown === 0 || (apply.by === 'weight' && a === 0)) expect(advantage).toBe(a);
            else {
              const wanted = expected(credit, first, trajectory.ids, trajectory.mask, a);
              for (const [n, value] of wanted.entries()) expect((advantage as Float32Array)[n]).toBeCloseTo(value, 5);
            }
          }
        }
  });

  it('by hand: λ ½, ε .2, A 1 and −1 at Δ ln 1.1', async () => {
    // One token, sampled at log p = 0; shown a sibling it is likelier by ln 1.1.
    const two = [
      [
        turnsTrajectory([[1]], [], { correct: 1, rollout: 1, logprobs: [0] }),
        turnsTrajectory([[2]], [], { correct: 1, rollout: 2, logprobs: [0] }),
      ],
    ];
    const { step } = makeStep({ groups: two, logprob: () => Math.log(1.1) });
    const weighted = [1, -1].map((advantage, i) => ({ trajectory: two[0]![i]!, advantage }));
    const { weighted: credited, figures } = await withCredit(base, weighted, step, 1);
    // 1 · (.5 + .5 · 1.1) and −1 · (.5 + .5 / 1.1)
    expect((credited[0]!.advantage as Float32Array)[0]).toBeCloseTo(1.05, 6);
    expect((credited[1]!.advantage as Float32Array)[0]).toBeCloseTo(-(0.5 + 0.5 / 1.1), 6);
    expect(figures).toEqual({ credited: 1, creditDelta: expect.closeTo(Math.log(1.1), 6) });
  });

  it('as a weight keeps the sign, is bounded, and does nothing where the advantage is 0', async () => {
    const { weighted, plain } = await run({ ...base, apply: { by: 'weight', weight: 0.5, clip: 0.2 } });
    for (const [i, { trajectory, advantage }] of weighted.entries()) {
      if (typeof advantage === 'number') continue;
      const a = plain[i]!.advantage as number;
      for (const [n, own] of trajectory.mask.entries()) {
        if (own === 0) expect(advantage[n]).toBe(0);
        else if (a === 0) expect(Math.abs(advantage[n]!)).toBe(0);
        else {
          expect(advantage[n]! / a).toBeGreaterThanOrEqual(0.9 - 1e-6);
          expect(advantage[n]! / a).toBeLessThanOrEqual(1.1 + 1e-6);
        }
      }
    }
    // Added, it acts on the group that is all right.
    const { weighted: added } = await run({ ...base, apply: { by: 'add', add: 0.25 } });
    expect((added[4]!.advantage as Float32Array).some((x) => x !== 0)).toBe(true);
  });

  it('without a difference is GRPO: as a weight, added, and through a gate less one half', async () => {
    const same = {
      logprob: (sequence: readonly number[], n: number) => [-1, -2, 0, 0, -0.5][n - (sequence.length - 5)] ?? 0,
    };
    for (const apply of [forms[0]!, forms[2]!, forms[4]!]) {
      const { weighted, plain } = await run({ ...base, apply }, 1, same);
      for (const [i, { trajectory, advantage }] of weighted.entries())
        if (typeof advantage !== 'number')
          for (const [n, own] of trajectory.mask.entries())
            if (own === 1) expect(advantage[n]).toBe(Math.fround(plain[i]!.advantage as number));
    }
  });

  it('goes by the id of the question, whatever the order of groups', async () => {
    const there = await run(base);
    const turned = await run(base, 1, { groups: [...groups].reverse() });
    const byFirst = (list: typeof there.weighted) =>
      new Map(list.map(({ trajectory, advantage }) => [trajectory.ids[0], advantage]));
    // Prompts here say the place of their question: only those without one are the same, so the shown is compared.
    const shown = (asked: readonly (readonly number[])[]) => new Set(asked.map((ids) => `${ids[2]} to ${ids[3]}`));
    expect(shown(turned.asked)).toEqual(shown(there.asked));
    expect([...byFirst(turned.weighted).keys()].sort()).toEqual([...byFirst(there.weighted).keys()].sort());
  });

  it('falls to nothing, in a line', async () => {
    const credit: Credit = { ...base, apply: { by: 'add', add: 0.25 }, fallsOver: 4 };
    for (const [at, fall] of [
      [1, 1],
      [3, 0.5],
      [5, 0],
      [9, 0],
    ] as const) {
      const { weighted, plain } = await run(credit, at);
      const { trajectory, advantage } = weighted[1]!;
      const wanted = expected(credit, 2, trajectory.ids, trajectory.mask, plain[1]!.advantage as number, fall);
      for (const [n, value] of wanted.entries()) expect((advantage as Float32Array)[n]).toBeCloseTo(value, 5);
    }
  });

  it('shows the expert of another question, or the gold answer’s turn', async () => {
    const all = { ...base, apply: { by: 'add', add: 1 } } as const;
    const other = await run({ ...all, sees: 'other-question' });
    // q1 sees q2's, q2 and q3 see q1's: q3 has none of its own to give.
    expect(new Set(other.asked.map((ids) => `${ids[1]} sees ${ids[2]}`))).toEqual(
      new Set(['1 sees 5', '2 sees 1', '3 sees 1']),
    );
    const gold = await run({ ...all, sees: 'gold-answer' });
    expect(gold.figures.credited).toBe(1);
    for (const ids of gold.asked) expect(ids.slice(2, 6)).toEqual([700, 701, 702, 703]);
  });

  it('reads each rollout as often as it says, in one call, and leaves out what is too long', async () => {
    for (const against of ['plain', 'reference-alone'] as const) {
      const { asked, figures } = await run({ ...base, against, apply: { by: 'add', add: 1 } });
      expect(figures.credited).toBe(6 / 8);
      expect(asked).toHaveLength(6 * scoredPasses({ ...base, against }));
      // A weight on an advantage of 0 is not asked for.
      const weights = await run({ ...base, against });
      expect(weights.figures.credited).toBe(4 / 8);
      expect(weights.asked).toHaveLength(4 * scoredPasses({ ...base, against }));
    }
    const { asked, figures, weighted, plain } = await run(base, 1, { contextLength: 7 });
    expect(asked).toHaveLength(0);
    expect(figures).toEqual({ credited: 0, creditDelta: null });
    expect(weighted).toEqual(plain);
  });

  it('weighs a stream of advantages token by token', async () => {
    const { step } = makeStep({ groups, logprob });
    const stream = weighGroups(groups).map(({ trajectory }) => ({
      trajectory,
      advantage: Float32Array.from([1, 2, 9, 9, -4]),
    }));
    const { weighted } = await withCredit({ ...base, apply: { by: 'add', add: 0 } }, stream, step, 1);
    expect([...(weighted[0]!.advantage as Float32Array)]).toEqual([1, 2, 0, 0, -4]);
  });

  it('refuses to compare a thing with itself', () => {
    expect(contradictionIn({ sees: 'wrong-sibling', against: 'wrong-sibling' })).toContain('Δ would be 0');
    expect(contradictionIn({ sees: 'right-sibling', against: 'wrong-sibling' })).toBeUndefined();
  });
});
