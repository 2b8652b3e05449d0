/** Arms over their seeds, and arm against reference, paired by seed and question, with bootstrap intervals. */
import { streamKey } from '../base/random.ts';
import type { EvaluationMode } from '../evolve/results.ts';
import { bootstrapIntervals, seedMean, type Values } from './bootstrap.ts';
import { alignScores, type CollectedRun, modeKey, round } from './collect.ts';
import { type ArmMean, type Difference, type Interval, type Measure, measures } from './schema.ts';

/** One question list a suite, by measure. */
type Scores = ReturnType<typeof alignScores>[number];
/** Scores by arm, then seed, in one evaluation mode. */
type Grid = ReadonlyMap<string, ReadonlyMap<string, Scores>>;

/** Of the last stage in one mode. Every arm keeps to the seeds that it has. */
export function compareArms(
  runs: readonly CollectedRun[],
  arms: readonly string[],
  reference: string,
  mode: EvaluationMode,
): { readonly means: ArmMean[]; readonly differences: Difference[] } {
  const grid = alignedGrid(runs, mode);
  const base = grid.get(reference);
  const jobs = arms.flatMap((arm) =>
    measures.flatMap((measure) => {
      const own = [...(grid.get(arm) ?? [])];
      const paired = arm === reference ? [] : own.filter(([seed]) => base?.has(seed));
      const absolute = new Map(own.map(([seed, scores]) => [seed, scores[measure]]));
      const relative = new Map(
        paired.map(([seed, scores]) => [seed, subtract(scores[measure], base!.get(seed)![measure])]),
      );
      return [
        { arm, measure, relative: false, bySeed: absolute },
        { arm, measure, relative: true, bySeed: relative },
      ];
    }),
  );
  const means: ArmMean[] = [];
  const differences: Difference[] = [];
  for (const { arm, measure, relative, interval } of withIntervals(jobs, modeKey(mode)))
    if (relative) differences.push({ arm, reference, mode, measure, ...interval });
    else means.push({ arm, mode, measure, ...interval });
  return { means, differences };
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

interface Job {
  readonly arm: string;
  readonly measure: Measure;
  readonly relative: boolean;
  readonly bySeed: ReadonlyMap<string, readonly Float64Array[]>;
}

/** Jobs over the same seeds share their resamples. Those without any value are left out. */
function withIntervals(jobs: readonly Job[], name: string): (Job & { readonly interval: Interval })[] {
  const bySeeds = Map.groupBy(jobs, ({ bySeed }) => [...bySeed.keys()].join(' '));
  return [...bySeeds].flatMap(([seeds, group]) => {
    if (seeds === '') return [];
    const sets: Values[] = group.map(({ bySeed }) => [...bySeed.values()]);
    const found = bootstrapIntervals(sets, streamKey('experiment', name, seeds));
    return group.flatMap((job, i) => {
      const { estimate, low, high } = found[i]!;
      if (Number.isNaN(estimate)) return [];
      const bySeed = [...job.bySeed]
        .map(([seed, suites]) => ({ seed, value: round(seedMean(suites)) }))
        .filter(({ value }) => !Number.isNaN(value));
      return [{ ...job, interval: { estimate: round(estimate), low: round(low), high: round(high), bySeed } }];
    });
  });
}
