/**
 * findings.json: what an experiment found, small enough to commit as evidence. Verdicts, differences and last stages with their
 * intervals, and exact match and searches of every stage, seed by seed. All of it is in summary.json too.
 */
import { modeKey } from './collect.ts';
import type { Measure, RunSummary, Summary } from './schema.ts';

/** The two that verdicts rest on. */
const MEASURES = ['exactMatch', 'searches'] as const satisfies readonly Measure[];

/** Stages that all arms of a seed share: every arm leaves the common run after them. */
const SHARED: readonly string[] = ['base', 'grpo-1'];

/** By mode ("sampled-4": sampled answers, at most four searches), a value for each seed in order; null where a run is missing. */
type BySeed = Readonly<Record<string, readonly (number | null)[]>>;

interface StageValues {
  readonly arm: string;
  readonly stage: string;
  readonly exactMatch: BySeed;
  readonly searches: BySeed;
}

export function findingsOf(summary: Summary) {
  const { name, arms, seeds, worlds, bases, missing, resamples, verdicts, means, differences, laws } = summary;
  const seedValues = (bySeed: readonly { readonly seed: string; readonly value: number }[]) =>
    seeds.map((seed) => bySeed.find((one) => one.seed === seed)?.value ?? null);
  return {
    schema: 1,
    ...{ name, arms, seeds, worlds, bases, missing, resamples },
    verdicts,
    differences: differences.filter(isOfVerdicts).map(({ mode, bySeed, ...rest }) => ({
      ...{ ...rest, mode: modeKey(mode), bySeed: seedValues(bySeed) },
    })),
    lastStage: means.filter(isOfVerdicts).map(({ mode, ...rest }) => ({ ...rest, mode: modeKey(mode) })),
    stages: stageValues(summary),
    laws: laws.map(({ mode, points, fit }) => ({ mode: modeKey(mode), runs: points.length, fit })),
    spent: spentByArm(summary),
  };
}

/** Without evaluation; null where a run is missing or did not say. */
function spentByArm({ arms, seeds, runs }: Summary) {
  return arms.map((arm) => {
    const ofSeeds = seeds.map((seed) => runs.find((run) => run.seed === seed && run.arm === arm));
    return {
      arm,
      tokens: ofSeeds.map((run) => run?.trainingTokens ?? null),
      seconds: ofSeeds.map((run) => run?.trainingSeconds ?? null),
    };
  });
}

function isOfVerdicts({ measure }: { readonly measure: Measure }): boolean {
  return MEASURES.some((one) => one === measure);
}

/** What all arms of a seed share stands once, under the name "shared". */
function stageValues({ arms, seeds, runs }: Summary): StageValues[] {
  const rows = (arm: string, of: (run: RunSummary) => boolean, wanted: (stage: string) => boolean): StageValues[] => {
    const bySeed = seeds.map((seed) => runs.find((run) => run.seed === seed && of(run))?.stages ?? []);
    const stages = [...new Set(bySeed.flat().map(({ stage }) => stage))].filter(wanted);
    const modes = [...new Set(bySeed.flat().map(({ mode }) => modeKey(mode)))];
    return stages.map((stage) => {
      const values = (measure: (typeof MEASURES)[number]) =>
        Object.fromEntries(
          modes.map((mode) => [
            mode,
            bySeed.map(
              (all) => all.find((one) => one.stage === stage && modeKey(one.mode) === mode)?.mean[measure] ?? null,
            ),
          ]),
        );
      return { arm, stage, exactMatch: values('exactMatch'), searches: values('searches') };
    });
  };
  return [
    ...rows(
      'shared',
      () => true,
      (stage) => SHARED.includes(stage),
    ),
    ...arms.flatMap((arm) =>
      rows(
        arm,
        (run) => run.arm === arm,
        (stage) => !SHARED.includes(stage),
      ),
    ),
  ];
}
