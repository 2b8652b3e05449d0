/**
 * findings.json: what an experiment found, small enough to commit as evidence. Verdicts, differences and last stages with their
 * intervals, exact match by suite, exact match and searches of every stage, gates and the law seed by seed. All of it is in
 * summary.json too.
 */
import { sharedBy } from './arms.ts';
import { modeKey } from './collect.ts';
import type { Measure, RunSummary, Summary } from './schema.ts';

/** The two that verdicts rest on. */
const MEASURES = ['exactMatch', 'searches'] as const satisfies readonly Measure[];

/** By mode ("sampled-4": sampled answers, at most four searches), a value for each seed in order; null where a run is missing. */
type BySeed = Readonly<Record<string, readonly (number | null)[]>>;

interface StageValues {
  readonly arm: string;
  readonly stage: string;
  readonly exactMatch: BySeed;
  readonly searches: BySeed;
}

export function findingsOf(summary: Summary) {
  const { name, arms, own, seeds, worlds, bases, missing, resamples, verdicts, means, differences, laws } = summary;
  const seedValues = (bySeed: readonly { readonly seed: string; readonly value: number }[]) =>
    seeds.map((seed) => bySeed.find((one) => one.seed === seed)?.value ?? null);
  return {
    schema: 1,
    name,
    arms,
    ...(own && { own }),
    seeds,
    worlds,
    bases,
    missing,
    resamples,
    verdicts,
    differences: differences.filter(isOfVerdicts).map(({ mode, bySeed, ...rest }) => ({
      ...rest,
      mode: modeKey(mode),
      bySeed: seedValues(bySeed),
    })),
    lastStage: means.filter(isOfVerdicts).map(({ mode, ...rest }) => ({ ...rest, mode: modeKey(mode) })),
    stages: stageValues(summary),
    suites: suiteValues(summary),
    gates: gateValues(summary),
    laws: laws.map(({ mode, points, fit }) => ({ mode: modeKey(mode), fit, points })),
    spent: spentByArm(summary),
  };
}

/** Exact match of the last stage, mean over seeds: one record for each arm and mode. */
function suiteValues({ suites }: Summary) {
  return [...Map.groupBy(suites, ({ arm, mode }) => `${arm} ${modeKey(mode)}`).values()].map((ofOne) => ({
    arm: ofOne[0]!.arm,
    mode: modeKey(ofOne[0]!.mode),
    ...Object.fromEntries(ofOne.map(({ suite, exactMatch }) => [suite, exactMatch])),
  }));
}

/** What the privileged prompt added at each gate, seed by seed. An arm is asked with its own expert view and teacher temperature. */
function gateValues({ arms, seeds, runs }: Summary) {
  return arms.flatMap((arm) => {
    const ofSeeds = seeds.map((seed) => runs.find((run) => run.seed === seed && run.arm === arm)?.gates ?? []);
    const stages = [...new Set(ofSeeds.flat().map(({ stage }) => stage))];
    return stages.map((stage) => {
      const values = (of: 'exactMatchGap' | 'searchesSaved') =>
        ofSeeds.map((gates) => gates.find((gate) => gate.stage === stage)?.[of] ?? null);
      return { arm, stage, exactMatchGap: values('exactMatchGap'), searchesSaved: values('searchesSaved') };
    });
  });
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
function stageValues({ arms, own, seeds, runs }: Summary): StageValues[] {
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
  const shared = sharedBy(arms, own);
  return [
    ...rows(
      'shared',
      () => true,
      (stage) => shared.includes(stage),
    ),
    ...arms.flatMap((arm) =>
      rows(
        arm,
        (run) => run.arm === arm,
        (stage) => !shared.includes(stage),
      ),
    ),
  ];
}
