/** The tables of an experiment: arms by measures with intervals, exact match by suite, and what happened in training. */
import { mean } from '../../benchmarks/statistics.ts';
import type { EvaluationMode } from '../../evolve/results.ts';
import type { Html } from '../../runs/report/html.ts';
import { blockAsHtml } from '../../runs/report/tables.ts';
import { modeLabel, type TableBlock } from '../../runs/table.ts';
import { modeKey } from '../collect.ts';
import { type Measure, measures, type RunSummary, type Summary } from '../schema.ts';

const NOTHING = '–';
const labels: Readonly<Record<Measure, { readonly label: string; readonly decimals: number }>> = {
  exactMatch: { label: 'exact match', decimals: 3 },
  searches: { label: 'searches', decimals: 2 },
  policyTokens: { label: 'policy tokens', decimals: 1 },
  wellFormed: { label: 'well formed', decimals: 3 },
  grounded: { label: 'grounded', decimals: 3 },
};

/** The last stage of every arm in one mode: estimate and 95 % interval. */
export function armsBlock({ arms, means }: Summary, mode: EvaluationMode): TableBlock {
  const cell = (arm: string, measure: Measure) => {
    const found = means.find(
      (one) => one.arm === arm && one.measure === measure && modeKey(one.mode) === modeKey(mode),
    );
    const { decimals } = labels[measure];
    return found === undefined
      ? NOTHING
      : `${found.estimate.toFixed(decimals)} [${found.low.toFixed(decimals)}, ${found.high.toFixed(decimals)}]`;
  };
  const seedsOf = (arm: string) =>
    means.find((one) => one.arm === arm && modeKey(one.mode) === modeKey(mode))?.bySeed.length ?? 0;
  return {
    title: `Last stage: ${modeLabel(mode)}`,
    header: ['seeds', ...measures.map((measure) => labels[measure].label)],
    rows: arms.map((arm) => ({
      label: arm,
      cells: [String(seedsOf(arm)), ...measures.map((measure) => cell(arm, measure))],
      rule: false,
    })),
    notes: [],
  };
}

/** Exact match of the last stage by suite, mean over seeds. */
export function suitesBlock({ arms, runs }: Summary, mode: EvaluationMode): TableBlock {
  const here = runs.flatMap(({ arm, suites }) =>
    suites.filter((one) => modeKey(one.mode) === modeKey(mode)).map((one) => ({ arm, ...one })),
  );
  const suites = [...new Set(here.map(({ suite }) => suite))];
  const cell = (arm: string, suite: string) =>
    figure(
      here.filter((one) => one.arm === arm && one.suite === suite).map((one) => one.mean.exactMatch),
      3,
    );
  return {
    title: `Exact match by suite: ${modeLabel(mode)}`,
    header: suites,
    rows: arms.map((arm) => ({ label: arm, cells: suites.map((suite) => cell(arm, suite)), rule: false })),
    notes: [],
  };
}

/** What the gates, pools and rounds of each arm showed: means over its rounds and seeds. */
export function trainingBlock({ arms, runs }: Summary): TableBlock {
  const columns: readonly { readonly label: string; readonly of: (runs: readonly RunSummary[]) => string }[] = [
    {
      label: 'first teacher gap',
      of: (all) =>
        figure(
          all.flatMap(({ gates }) => gates.slice(0, 1)).map((gate) => gate.exactMatchGap),
          3,
        ),
    },
    {
      label: 'searches saved by privilege',
      of: (all) =>
        figure(
          all.flatMap(({ gates }) => gates.slice(0, 1)).map((gate) => gate.searchesSaved),
          2,
        ),
    },
    { label: 'open gates', of: (all) => shareText(all.flatMap(({ gates }) => gates.map(({ open }) => Number(open)))) },
    {
      label: 'questions with a pair',
      of: (all) => shareText(all.flatMap(({ pools }) => pools.map((pool) => pool.pairs / pool.questions))),
    },
    {
      label: 'students wrong',
      of: (all) => shareText(all.flatMap(({ pools }) => pools.map((pool) => pool.wrongStudents / pool.pairs))),
    },
    ...(
      [
        ['KL think', 'klThink'],
        ['KL search', 'klSearch'],
        ['KL answer', 'klAnswer'],
        ['KL tags', 'klTag'],
      ] as const
    ).map(([label, name]) => ({ label, of: (all: readonly RunSummary[]) => figure(distilled(all, name), 3) })),
    { label: 'clipped', of: (all) => shareText(distilled(all, 'clipFraction')) },
    { label: 'entropy', of: (all) => figure(distilled(all, 'entropy'), 3) },
    {
      label: 'training tokens (million)',
      of: (all) =>
        figure(
          present(all.map((run) => run.trainingTokens)).map((n) => n / 1e6),
          2,
        ),
    },
    {
      label: 'training minutes',
      of: (all) =>
        figure(
          present(all.map((run) => run.trainingSeconds)).map((s) => s / 60),
          1,
        ),
    },
  ];
  return {
    title: 'Training: means over rounds and seeds',
    header: columns.map(({ label }) => label),
    rows: arms.map((arm) => {
      const own = runs.filter((run) => run.arm === arm);
      return { label: arm, cells: columns.map(({ of }) => of(own)), rule: false };
    }),
    notes: [
      'KL in nats by what a token is for, clip rate and entropy are of the distillation rounds. Tokens are generated and trained ones, without evaluation.',
    ],
  };
}

/** Of the distillation rounds. */
function distilled(
  runs: readonly RunSummary[],
  name: 'klThink' | 'klSearch' | 'klAnswer' | 'klTag' | 'clipFraction' | 'entropy',
): number[] {
  return present(
    runs.flatMap(({ training }) => training.filter(({ stage }) => stage.startsWith('e1-')).map((stage) => stage[name])),
  );
}

function present(values: readonly (number | null)[]): number[] {
  return values.filter((value) => value !== null);
}

function figure(values: readonly number[], decimals: number): string {
  const finite = values.filter(Number.isFinite);
  return finite.length === 0 ? NOTHING : mean(finite).toFixed(decimals);
}

function shareText(values: readonly number[]): string {
  const finite = values.filter(Number.isFinite);
  return finite.length === 0 ? NOTHING : `${(100 * mean(finite)).toFixed(0)} %`;
}

/** Blocks without any figure are left out. */
export function blocksAsHtml(blocks: readonly TableBlock[]): Html[] {
  return blocks.filter(({ rows }) => rows.some(({ cells }) => cells.some((cell) => cell !== NOTHING))).map(blockAsHtml);
}
