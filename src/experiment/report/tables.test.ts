import { describe, expect, it } from 'vitest';
import type { RunSummary, Summary } from '../schema.ts';
import { armsBlock, stagesBlock } from './tables.ts';
import { budgetsBlock, roundsBlock } from './training-tables.ts';

const mode = { decoding: 'sampled', searches: 4 } as const;

function stage(name: string, exactMatch: number): RunSummary['stages'][number] {
  const mean = { exactMatch, searches: 2, policyTokens: 40, wellFormed: 1, grounded: null };
  return { stage: name, mode, mean, suites: { nq: exactMatch + 0.1, musique: exactMatch - 0.1 } };
}

function round(name: string, loss: number): RunSummary['training'][number] {
  const none = { klThink: null, klSearch: null, klAnswer: null, klTag: null, entropy: null };
  return { ...none, stage: name, steps: 2, skippedSteps: 0, loss, largestLoss: loss, clipFraction: 0.25 };
}

function run(seed: string, arm: string, first: number, last: number): RunSummary {
  return {
    seed,
    arm,
    seconds: null,
    trainingSeconds: 90,
    trainingTokens: 2e6,
    pools: [],
    stages: [stage('base', 0.2), stage('grpo-1', first), stage('e1-1', last)],
    gates: [{ stage: 'gate-1', exactMatchGap: -0.25, searchesSaved: 0.5, open: seed === 'a' }],
    training: [round('grpo-1', 9), round('e1-1', last), round('e1-2', 2 * last)],
  };
}

/** Two seeds of two arms, the second with a teacher that the gate does not ask. */
const summary: Summary = {
  schema: 1,
  name: 'made up',
  arms: ['e1', 'sharpen'],
  seeds: ['a', 'b'],
  worlds: [],
  bases: [],
  missing: [],
  resamples: 1,
  means: [],
  suites: [],
  differences: [],
  verdicts: [],
  runs: [run('a', 'e1', 0.4, 0.5), run('a', 'sharpen', 0.4, 0.9), run('b', 'e1', 0.5, 0.7)],
  laws: [{ mode, fit: null, points: ['a', 'b'].map((seed) => ({ seed, arm: 'e1', gap: -0.25, gain: 0.1 })) }],
};

const rowsOf = ({ rows }: { rows: readonly { label: string; cells: readonly string[] }[] }) =>
  Object.fromEntries(rows.map(({ label, cells }) => [label, cells]));

describe('tables of an experiment', () => {
  it('begin the last stages with what all arms share, every seed counted once', () => {
    const rows = rowsOf(armsBlock(summary, mode));
    expect(Object.keys(rows)).toEqual(['base', 'GRPO 1', 'e1', 'sharpen']);
    expect(rows['GRPO 1']).toEqual(['2', '0.450', '2.00', '40.0', '1.000', '–']);
  });

  it('list every stage with its suites', () => {
    const block = stagesBlock(summary, mode);
    const rows = rowsOf(block);
    expect(block.header.slice(0, 4)).toEqual(['exact match', 'nq', 'musique', 'searches']);
    expect(Object.keys(rows)).toEqual(['base', 'GRPO 1', 'e1, E1 1', 'sharpen, E1 1']);
    expect(rows['e1, E1 1']!.slice(0, 4)).toEqual(['0.600', '0.700', '0.500', '2.00']);
  });

  it('show what the expert adds at the gate only where it is the teacher', () => {
    const rows = rowsOf(budgetsBlock(summary));
    expect(rows.e1).toEqual(['2.00', '1.5', '–', '–', '−0.250', '0.50', '50 %']);
    expect(rows.sharpen!.slice(-3)).toEqual(['–', '–', '100 %']);
  });

  it('keep distillation rounds apart', () => {
    const rows = rowsOf(roundsBlock(summary));
    expect(Object.keys(rows)).toEqual(['e1, E1 1', 'e1, E1 2', 'sharpen, E1 1', 'sharpen, E1 2']);
    expect(rows['e1, E1 2']).toEqual(['1.2000', '–', '–', '–', '–', '25.0 %', '–']);
  });
});
