/** Arms over seeds and against each other, held against plain means over hand-made scores. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { presets } from '../evolve/presets.ts';
import type { EvaluationMode } from '../evolve/results.ts';
import { type CollectedRun, modeKey, type Score } from './collect.ts';
import { compareArms, suitesOfArms } from './compare.ts';

const mode: EvaluationMode = { decoding: 'sampled', searches: 4 };
const scoreOf = (exactMatch: number): Score => ({
  exactMatch,
  searches: 10 * exactMatch,
  policyTokens: 50,
  wellFormed: 1,
  grounded: Number.NaN,
});

/** Exact match by suite, in the order of questions; NaN where a question was not measured. */
type Suites = Readonly<Record<string, readonly number[]>>;

function run(seed: string, arm: string, suites: Suites): CollectedRun {
  const scores = new Map(
    Object.entries(suites).map(([suite, values]) => [
      suite,
      new Map(values.map((value, q) => [`${suite}${q}`, scoreOf(value)])),
    ]),
  );
  const summary = { seed, arm, seconds: 1, trainingSeconds: 1, trainingTokens: 1 };
  const empty = { stages: [], gates: [], pools: [], training: [] };
  return {
    summary: { ...summary, ...empty },
    settings: presets.default,
    hashes: { questions: '', corpus: '', evaluation: '', template: '', tokenizer: '', weights: null },
    scores: new Map([[modeKey(mode), scores]]),
  };
}

const plainMean = (values: readonly number[]) => {
  const known = values.filter((value) => !Number.isNaN(value));
  return known.reduce((a, b) => a + b, 0) / known.length;
};
const macro = (suites: Suites) => plainMean(Object.values(suites).map(plainMean));

const value = fc.constantFrom(0, 0.5, 1);
const suites = fc.record({
  nq: fc.array(value, { minLength: 4, maxLength: 4 }),
  deep: fc.array(value, { minLength: 3, maxLength: 3 }),
});

describe('arms', () => {
  it('have the mean over seeds of the macro mean, and differences paired by seed and question', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(suites, suites), { minLength: 2, maxLength: 3 }), (seeds) => {
        const runs = seeds.flatMap(([own, other], s) => [
          run(`seed-${s}`, 'e1', own),
          run(`seed-${s}`, 'other', other),
        ]);
        const { means, differences } = compareArms(runs, ['e1', 'other'], 'e1', [mode]);
        const of = (arm: string) => means.find((one) => one.arm === arm && one.measure === 'exactMatch')!;
        expect(of('e1').estimate).toBeCloseTo(plainMean(seeds.map(([own]) => macro(own))), 4);
        expect(of('other')).toMatchObject({ seeds: seeds.length });
        // Every question has both, so the paired difference is the difference of the means.
        const difference = differences.find(({ measure }) => measure === 'exactMatch')!;
        expect(difference).toMatchObject({ arm: 'other', reference: 'e1', mode });
        expect(difference.estimate).toBeCloseTo(plainMean(seeds.map(([own, other]) => macro(other) - macro(own))), 4);
        expect(difference.bySeed.map(({ seed }) => seed)).toEqual(seeds.map((_, s) => `seed-${s}`));
        expect(difference.low).toBeLessThanOrEqual(difference.estimate + 1e-5);
        expect(difference.high).toBeGreaterThanOrEqual(difference.estimate - 1e-5);
      }),
      { numRuns: 8 },
    );
  });

  it('are compared over the seeds that both have, and the questions that both measured', () => {
    const runs = [
      run('seed-1', 'e1', { nq: [1, 0, 1] }),
      run('seed-1', 'other', { nq: [0, 0, Number.NaN] }),
      run('seed-2', 'e1', { nq: [1, 1, 1] }),
      run('seed-3', 'other', { nq: [1, 1, 1] }),
    ];
    const { means, differences } = compareArms(runs, ['e1', 'other', 'absent'], 'e1', [mode]);
    const exact = differences.filter(({ measure }) => measure === 'exactMatch');
    expect(exact).toHaveLength(1);
    // Questions 0 and 1 of seed 1: −1 and 0.
    expect(exact[0]).toMatchObject({ estimate: -0.5, bySeed: [{ seed: 'seed-1', value: -0.5 }] });
    const seedsOf = (arm: string) => means.find((one) => one.arm === arm && one.measure === 'exactMatch')?.seeds;
    expect([seedsOf('e1'), seedsOf('other'), seedsOf('absent')]).toEqual([2, 2, undefined]);
    // What could not be asked of any answer has no figure.
    expect(means.some(({ measure }) => measure === 'grounded')).toBe(false);
  });

  it('have intervals within what can be', () => {
    const far = [run('seed-1', 'e1', { nq: [1, 1, 1, 0] }), run('seed-2', 'e1', { nq: [0, 0, 0, 1] })];
    const { means } = compareArms(far, ['e1'], 'e1', [mode]);
    const exact = means.find(({ measure }) => measure === 'exactMatch')!;
    // With two seeds the interval is stretched far beyond its percentiles.
    expect([exact.low, exact.high]).toEqual([0, 1]);
    expect(means.find(({ measure }) => measure === 'searches')).toMatchObject({ low: 0, high: expect.any(Number) });
    expect(means.find(({ measure }) => measure === 'searches')!.high).toBeGreaterThan(10);
  });

  it('differ by exactly nothing from one that did the same', () => {
    const same = { nq: [1, 0, 0.5] };
    const runs = ['seed-1', 'seed-2'].flatMap((seed) => [run(seed, 'e1', same), run(seed, 'other', same)]);
    const { differences } = compareArms(runs, ['e1', 'other'], 'e1', [mode]);
    for (const { estimate, low, high } of differences) expect([estimate, low, high].map(Math.abs)).toEqual([0, 0, 0]);
  });

  it('are not compared in a mode in which nobody was evaluated', () => {
    const greedy: EvaluationMode = { decoding: 'greedy', searches: 4 };
    const { means, differences } = compareArms([run('seed-1', 'e1', { nq: [1] })], ['e1'], 'e1', [greedy]);
    expect([means, differences]).toEqual([[], []]);
    expect(suitesOfArms([run('seed-1', 'e1', { nq: [1] })], ['e1'], greedy)).toEqual([]);
  });

  it('have exact match by suite, the mean over seeds of the mean over questions', () => {
    const runs = [
      run('seed-1', 'e1', { nq: [1, 0, Number.NaN], deep: [0.5] }),
      run('seed-2', 'e1', { nq: [0, 0, 0], deep: [Number.NaN] }),
    ];
    expect(suitesOfArms(runs, ['e1', 'absent'], mode)).toEqual([
      { arm: 'e1', mode, suite: 'nq', exactMatch: 0.25 },
      { arm: 'e1', mode, suite: 'deep', exactMatch: 0.5 },
    ]);
  });
});
