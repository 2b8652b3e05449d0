/** Stages of an experiment in order, and what was measured after one: means over seeds. */
import { mean } from '../../benchmarks/statistics.ts';
import type { EvaluationMode } from '../../evolve/results.ts';
import { compareStages } from '../../evolve/stages.ts';
import { sharedBy } from '../arms.ts';
import { modeKey } from '../collect.ts';
import type { Measure, RunSummary, Summary } from '../schema.ts';
import { fixed } from '../text.ts';

/** Stands where there is no figure. */
export const NOTHING = '–';

export const labels: Readonly<Record<Measure, { readonly label: string; readonly decimals: number }>> = {
  exactMatch: { label: 'exact match', decimals: 3 },
  searches: { label: 'searches', decimals: 2 },
  policyTokens: { label: 'policy tokens', decimals: 1 },
  wellFormed: { label: 'well formed', decimals: 3 },
  grounded: { label: 'grounded', decimals: 3 },
};

/** One stage in one mode, of some seeds. */
export type Measured = RunSummary['stages'];

export interface StageRow {
  readonly stage: string;
  readonly measured: Measured;
}

/** All stages of all runs in the order of a run; an arm may lack some. */
export function stageOrder({ runs }: Pick<Summary, 'runs'>): string[] {
  const stages = [...new Set(runs.flatMap((run) => run.stages.map(({ stage }) => stage)))];
  return stages.sort(compareStages);
}

/** The stages that all arms of a seed share; every seed counts once. */
export function sharedStages({ runs, seeds, arms, own }: Summary, mode: EvaluationMode): StageRow[] {
  const oneOfEach = seeds.flatMap((seed) => runs.find((run) => run.seed === seed) ?? []);
  return stagesOf(oneOfEach, mode).filter(({ stage }) => sharedBy(arms, own).includes(stage));
}

/** The stages of an arm after those that it shares. */
export function ownStages({ runs, arms, own }: Summary, arm: string, mode: EvaluationMode): StageRow[] {
  const ofArm = runs.filter((run) => run.arm === arm);
  return stagesOf(ofArm, mode).filter(({ stage }) => !sharedBy(arms, own).includes(stage));
}

function stagesOf(runs: readonly RunSummary[], mode: EvaluationMode): StageRow[] {
  const all = runs.flatMap(({ stages }) => stages).filter((one) => modeKey(one.mode) === modeKey(mode));
  return stageOrder({ runs: [...runs] }).flatMap((stage) => {
    const measured = all.filter((one) => one.stage === stage);
    return measured.length === 0 ? [] : { stage, measured };
  });
}

export function measureText(measured: Measured, measure: Measure): string {
  return meanText(
    measured.map((one) => one.mean[measure]),
    labels[measure].decimals,
  );
}

/** The mean of those that are there, as a text; `NOTHING` without any. */
export function meanText(values: readonly (number | null | undefined)[], decimals: number): string {
  const found = values.filter((value) => typeof value === 'number' && Number.isFinite(value)) as number[];
  return found.length === 0 ? NOTHING : fixed(mean(found), decimals);
}
