/** Arms over their seeds, and arm against reference, paired by seed and question, with intervals. */
import { streamKey } from '../base/random.ts';
import type { EvaluationMode } from '../evolve/results.ts';
import { alignScores, type CollectedRun, modeKey, round } from './collect.ts';
import { questionInterval, seedInterval, seedMean } from './intervals.ts';
import { type ArmMean, type Difference, type Interval, type Measure, measures, type Summary } from './schema.ts';

/** One question list a suite, by measure. */
type Scores = ReturnType<typeof alignScores>[number];
/** Scores by arm, then seed, in one evaluation mode. */
type Grid = ReadonlyMap<string, ReadonlyMap<string, Scores>>;

interface Job {
  readonly arm: string;
  readonly mode: EvaluationMode;
  readonly measure: Measure;
  /** Of arm − reference, not of the arm alone. */
  readonly relative: boolean;
  readonly bySeed: ReadonlyMap<string, readonly Float64Array[]>;
}

/** The last stage of every arm, alone and against the reference. Every arm keeps to the seeds that it has. */
export function compareArms(
  runs: readonly CollectedRun[],
  arms: readonly string[],
  reference: string,
  modes: readonly EvaluationMode[],
): { readonly means: ArmMean[]; readonly differences: Difference[] } {
  const jobs = modes.flatMap((mode) => {
    const grid = alignedGrid(runs, mode);
    return arms.flatMap((arm) => measures.flatMap((measure) => jobsOf(grid, arm, reference, mode, measure)));
  });
  const means: ArmMean[] = [];
  const differences: Difference[] = [];
  for (const { job, interval } of withIntervals(jobs)) {
    const { arm, mode, measure, relative } = job;
    const { bySeed, ...range } = interval;
    if (relative) differences.push({ arm, reference, mode, measure, ...interval });
    else means.push({ arm, mode, measure, seeds: bySeed.length, ...possible(measure, range) });
  }
  return { means, differences };
}

/** With few seeds an interval reaches beyond what can be: shares lie within [0, 1], and no count is negative. */
function possible<R extends { readonly low: number; readonly high: number }>(measure: Measure, range: R): R {
  const most = measure === 'searches' || measure === 'policyTokens' ? Number.POSITIVE_INFINITY : 1;
  return { ...range, low: Math.max(0, range.low), high: Math.min(most, range.high) };
}

function jobsOf(grid: Grid, arm: string, reference: string, mode: EvaluationMode, measure: Measure): Job[] {
  const own = [...(grid.get(arm) ?? [])];
  const common = { arm, mode, measure };
  const alone: Job = {
    ...common,
    relative: false,
    bySeed: new Map(own.map(([seed, scores]) => [seed, scores[measure]])),
  };
  if (arm === reference) return [alone];
  const differences = own.flatMap(([seed, scores]) => {
    const beside = grid.get(reference)?.get(seed);
    return beside === undefined ? [] : [[seed, subtract(scores[measure], beside[measure])] as const];
  });
  return [alone, { ...common, relative: true, bySeed: new Map(differences) }];
}

/** Exact match of the last stage by suite, mean over the seeds of each arm. */
export function suitesOfArms(
  runs: readonly CollectedRun[],
  arms: readonly string[],
  mode: EvaluationMode,
): Summary['suites'] {
  return arms.flatMap((arm) => {
    const measured = runs
      .filter(({ summary }) => summary.arm === arm)
      .flatMap(({ scores }) => [...(scores.get(modeKey(mode)) ?? [])]);
    return [...Map.groupBy(measured, ([suite]) => suite)].flatMap(([suite, ofSeeds]) => {
      // Of one suite in several seeds, as of several suites in one seed.
      const mean = seedMean(
        ofSeeds.map(([, byId]) => Float64Array.from(byId.values(), ({ exactMatch }) => exactMatch)),
      );
      return Number.isNaN(mean) ? [] : [{ arm, mode, suite, exactMatch: round(mean) }];
    });
  });
}

function alignedGrid(runs: readonly CollectedRun[], mode: EvaluationMode): Grid {
  const grid = new Map<string, Map<string, Scores>>();
  for (const [seed, ofSeed] of Map.groupBy(runs, ({ summary }) => summary.seed)) {
    const evaluated = ofSeed.filter(({ scores }) => scores.has(modeKey(mode)));
    const aligned = alignScores(evaluated.map(({ scores }) => scores.get(modeKey(mode))!));
    for (const [i, { summary }] of evaluated.entries()) {
      if (!grid.has(summary.arm)) grid.set(summary.arm, new Map());
      grid.get(summary.arm)!.set(seed, aligned[i]!);
    }
  }
  return grid;
}

function subtract(a: readonly Float64Array[], b: readonly Float64Array[]): Float64Array[] {
  return a.map((suite, s) => suite.map((value, q) => value - b[s]![q]!));
}

/** In the order of the jobs; those without any value are left out. */
function withIntervals(jobs: readonly Job[]): { readonly job: Job; readonly interval: Interval }[] {
  return jobs.flatMap((job) => {
    const measured = [...job.bySeed]
      .map(([seed, suites]) => ({ seed, suites, value: seedMean(suites) }))
      .filter(({ value }) => !Number.isNaN(value));
    const [first] = measured;
    if (first === undefined) return [];
    const ofSeeds = seedInterval(measured.map(({ value }) => value));
    // All of one seed share the draws: comparisons differ by what is compared, not by the luck of resampling.
    const { low, high } =
      measured.length > 1 ? ofSeeds : questionInterval(first.suites, streamKey('experiment', first.seed));
    const bySeed = measured.map(({ seed, value }) => ({ seed, value: round(value) }));
    return [{ job, interval: { estimate: round(ofSeeds.estimate), low: round(low), high: round(high), bySeed } }];
  });
}
