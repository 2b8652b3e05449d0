/** The tables of an experiment: arms by measures with intervals, exact match by suite, and what happened in training. */
import { mean } from '../../benchmarks/statistics.ts';
import type { EvaluationMode } from '../../evolve/results.ts';
import type { Html } from '../../runs/report/html.ts';
import { blockAsHtml } from '../../runs/report/tables.ts';
import { modeLabel, type TableBlock } from '../../runs/table.ts';
import { modeKey, signed } from '../collect.ts';
import { type Measure, measures, type RunSummary, type Summary } from '../schema.ts';
import { outerModes, referenceOf } from './modes.ts';

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
    means.find((one) => one.arm === arm && modeKey(one.mode) === modeKey(mode))?.seeds ?? 0;
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

/** The same differences for the seeds of each base policy alone; undefined where all seeds have the same. */
export function basesBlock(summary: Summary): TableBlock | undefined {
  const bases = [...new Set(summary.bases)];
  if (bases.length < 2) return undefined;
  const reference = referenceOf(summary);
  // What claims are decided on: exact match at the largest and the smallest budget, searches at the largest.
  const modes = outerModes(summary);
  const decisive = [
    ...modes.map((mode) => ({ measure: 'exactMatch' as const, mode })),
    ...modes.slice(0, 1).map((mode) => ({ measure: 'searches' as const, mode })),
  ];
  const columns = decisive.flatMap((one) => bases.map((base, i) => ({ ...one, base, number: i + 1 })));
  const cell = (arm: string, { measure, mode, base }: (typeof columns)[number]) => {
    const found = summary.differences.find(
      (one) => one.arm === arm && one.measure === measure && modeKey(one.mode) === modeKey(mode),
    );
    const values = found?.bySeed.filter(({ seed }) => summary.bases[summary.seeds.indexOf(seed)] === base) ?? [];
    return values.length === 0 ? NOTHING : signed(mean(values.map(({ value }) => value)), labels[measure].decimals);
  };
  return {
    title: `Differences to ${reference}, base policy by base policy: sampled answers`,
    header: columns.map(({ measure, mode, number }) => `${labels[measure].label}, ≤ ${mode.searches}: base ${number}`),
    rows: summary.arms
      .filter((arm) => arm !== reference)
      .map((arm) => ({ label: arm, cells: columns.map((column) => cell(arm, column)), rule: false })),
    notes: bases.map((base, i) => {
      const seeds = summary.seeds.filter((_, s) => summary.bases[s] === base);
      return `Base ${i + 1}: weights ${base}…, ${seeds.join(', ')}.`;
    }),
  };
}

/** Exact match of the last stage by suite, mean over seeds. */
export function suitesBlock({ arms, suites: all }: Summary, mode: EvaluationMode): TableBlock {
  const here = all.filter((one) => modeKey(one.mode) === modeKey(mode));
  const suites = [...new Set(here.map(({ suite }) => suite))];
  const cell = (arm: string, suite: string) =>
    here.find((one) => one.arm === arm && one.suite === suite)?.exactMatch.toFixed(3) ?? NOTHING;
  return {
    title: `Exact match by suite: ${modeLabel(mode)}`,
    header: suites,
    rows: arms.map((arm) => ({ label: arm, cells: suites.map((suite) => cell(arm, suite)), rule: false })),
    notes: [],
  };
}

interface Column {
  readonly label: string;
  readonly of: (runs: readonly RunSummary[]) => string;
}

const firstGates = (runs: readonly RunSummary[]) => runs.flatMap(({ gates }) => gates.slice(0, 1));
const pools = (runs: readonly RunSummary[]) => runs.flatMap((run) => run.pools);

const budgetColumns: readonly Column[] = [
  {
    label: 'million tokens',
    of: (runs) =>
      figure(
        present(runs.map((run) => run.trainingTokens)).map((n) => n / 1e6),
        2,
      ),
  },
  {
    label: 'minutes',
    of: (runs) =>
      figure(
        present(runs.map((run) => run.trainingSeconds)).map((s) => s / 60),
        1,
      ),
  },
  {
    label: 'questions with a pair',
    of: (runs) => shareText(pools(runs).map(({ pairs, questions }) => pairs / questions)),
  },
  {
    label: 'students wrong',
    of: (runs) => shareText(pools(runs).map(({ wrongStudents, pairs }) => wrongStudents / pairs)),
  },
  {
    label: 'first teacher gap',
    of: (runs) =>
      figure(
        firstGates(runs).map((gate) => gate.exactMatchGap),
        3,
      ),
  },
  {
    label: 'searches saved',
    of: (runs) =>
      figure(
        firstGates(runs).map((gate) => gate.searchesSaved),
        2,
      ),
  },
  { label: 'open gates', of: (runs) => shareText(runs.flatMap(({ gates }) => gates.map(({ open }) => Number(open)))) },
];

const distillColumns: readonly Column[] = [
  { label: 'loss', of: (runs) => figure(distilled(runs, 'loss'), 4) },
  { label: 'KL think', of: (runs) => figure(distilled(runs, 'klThink'), 3) },
  { label: 'KL search', of: (runs) => figure(distilled(runs, 'klSearch'), 3) },
  { label: 'KL answer', of: (runs) => figure(distilled(runs, 'klAnswer'), 3) },
  { label: 'KL tags', of: (runs) => figure(distilled(runs, 'klTag'), 3) },
  { label: 'clipped', of: (runs) => shareText(distilled(runs, 'clipFraction'), 1) },
  { label: 'entropy', of: (runs) => figure(distilled(runs, 'entropy'), 3) },
];

/** What the arms spent, and what their gates, pools and distillation rounds showed: means over rounds and seeds. */
export function trainingBlocks({ arms, runs }: Summary): TableBlock[] {
  const block = (title: string, columns: readonly Column[], note: string): TableBlock => ({
    title,
    header: columns.map(({ label }) => label),
    rows: arms.map((arm) => ({
      label: arm,
      cells: columns.map(({ of }) => of(runs.filter((run) => run.arm === arm))),
      rule: false,
    })),
    notes: [note],
  });
  return [
    block(
      'Budgets, pools and gates',
      budgetColumns,
      'Tokens are generated and trained ones; tokens and minutes are without evaluation. Gap and searches saved: held-out training questions under the privileged prompt against the ordinary one.',
    ),
    block(
      'Distillation rounds',
      distillColumns,
      'KL in nats, before the clip, by what a token is for; of reverse-kl and jsd their own divergence. The loss of supervised training is its cross-entropy.',
    ),
  ];
}

/** Of the distillation rounds. */
function distilled(
  runs: readonly RunSummary[],
  name: 'loss' | 'klThink' | 'klSearch' | 'klAnswer' | 'klTag' | 'clipFraction' | 'entropy',
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

function shareText(values: readonly number[], decimals = 0): string {
  const finite = values.filter(Number.isFinite);
  return finite.length === 0 ? NOTHING : `${(100 * mean(finite)).toFixed(decimals)} %`;
}

/** Blocks without any figure are left out. */
export function blocksAsHtml(blocks: readonly TableBlock[]): Html[] {
  return blocks.filter(({ rows }) => rows.some(({ cells }) => cells.some((cell) => cell !== NOTHING))).map(blockAsHtml);
}
