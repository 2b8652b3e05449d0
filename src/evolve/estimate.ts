/**
 * What a run will take, from a little of the real thing on this machine: a batch of rollouts and the backward pass over
 * them, as large as it may be and take a minute at most. Times of the stages follow by their amounts of work (stages.ts).
 */
import { policyGradientBatch } from '../algorithms/grpo.ts';
import { DRY_STEP, type Policy } from '../policy/policy.ts';
import { Clock, noTime } from './clock.ts';
import { Run } from './run.ts';
import type { Settings } from './settings.ts';
import { type Setup, sliceQuestions } from './setup.ts';
import { BASE, type QuestionCounts } from './stage.ts';
import { keptBy, planStages, type Stage, workOf } from './stages.ts';

export interface RunEstimate {
  /** Whole run and its stages, in seconds. */
  readonly seconds: number;
  readonly stages: readonly { readonly name: string; readonly seconds: number }[];
  readonly rolloutsPerSecond: number;
  /** Trajectories trained on (forward and backward). */
  readonly trainedPerSecond: number;
  /** Peak of the process so far, in bytes: weights, optimiser, activations of one step. */
  readonly peakMemory: number;
  /** What all checkpoints of the run will hold, in bytes; null where the engine does not say how large its model is. */
  readonly diskForCheckpoints: number | null;
}

/** Rollouts of the sample: as many of them as the time allows. */
const [FEWEST, MOST] = [4, 64];
const SAMPLE_SECONDS = 60;

/** Runs the sample; the policy stays as it is. Null on an engine that cannot train without a trace. */
export async function estimateRun(setup: Setup, settings: Settings): Promise<RunEstimate | null> {
  if (!setup.policy.capabilities.dryRun) return null;
  const slices = sliceQuestions(setup.trainingQuestions, settings);
  const run = new Run({
    setup,
    settings,
    slices,
    clock: new Clock(noTime),
    signal: new AbortController().signal,
    emit: () => {},
    journal: unused,
  });
  const rollOut = (count: number) =>
    run.rollOut(slices.training.slice(0, count), { perQuestion: 1, stage: 'estimate', step: 0 });
  const train = (trajectories: Awaited<ReturnType<typeof rollOut>>) =>
    setup.policy.train(
      [
        policyGradientBatch(
          trajectories.flat().map((trajectory) => ({ trajectory, advantage: 1 })),
          undefined,
          { ...settings.grpo, klCoefficient: 0 },
        ),
      ],
      DRY_STEP,
    );
  // Once to build graphs and fill caches, which tells how many the clock can wait for.
  const begin = performance.now();
  await train(await rollOut(FEWEST));
  const few = (performance.now() - begin) / 1000;
  const count = Math.min(slices.training.length, sampleSize(few));
  if (count === MOST) await train(await rollOut(count));
  const start = performance.now();
  const trajectories = await rollOut(count);
  const middle = performance.now();
  await train(trajectories);
  const end = performance.now();

  const rolloutsPerSecond = (1000 * count) / (middle - start);
  const trainedPerSecond = (1000 * count) / (end - middle);
  const stages = estimateStages(countsOf(setup), settings, { rolloutsPerSecond, trainedPerSecond });
  return {
    seconds: stages.reduce((sum, stage) => sum + stage.seconds, 0),
    stages,
    rolloutsPerSecond,
    trainedPerSecond,
    peakMemory: process.resourceUsage().maxRSS * 1024,
    diskForCheckpoints: checkpointBytes(setup.policy, planStages(settings), settings),
  };
}

/** How many rollouts to time, where `FEWEST` took so many seconds. */
export function sampleSize(seconds: number): number {
  return Math.max(FEWEST, Math.min(MOST, Math.floor((FEWEST * SAMPLE_SECONDS) / seconds)));
}

export function countsOf({ suites, trainingQuestions }: Setup): QuestionCounts {
  return {
    suites: suites.map(({ name, questions }) => ({ name, questions: questions.length })),
    trainingQuestions: trainingQuestions.length,
  };
}

/** Seconds of every stage at a pace. */
export function estimateStages(
  counts: QuestionCounts,
  settings: Settings,
  { rolloutsPerSecond, trainedPerSecond }: Pick<RunEstimate, 'rolloutsPerSecond' | 'trainedPerSecond'>,
): { name: string; seconds: number }[] {
  return planStages(settings).map((stage) => {
    const { rollouts, trained } = workOf(stage, counts, settings);
    return { name: stage.name, seconds: rollouts / rolloutsPerSecond + trained / trainedPerSecond };
  });
}

/**
 * What checkpoints of these stages hold, in bytes: those that they keep, the base, and the newest two. Weights and moments in
 * float32. Null where the engine does not say how large its model is.
 */
export function checkpointBytes(
  { info }: Pick<Policy, 'info'>,
  stages: readonly Stage[],
  settings: Settings,
): number | null {
  if (info.parameters === undefined) return null;
  const kept = (stage: Stage) => (stage.kind === 'evaluate' && stage.of === BASE ? 1 : keptBy(stage, settings).length);
  return (stages.reduce((sum, stage) => sum + kept(stage), 0) + 2) * info.parameters * 4 * 3;
}

const refuse = () => {
  throw new Error('an estimate writes nothing');
};
const unused = {
  metric: refuse,
  writeTrajectories: refuse,
  readTrajectories: refuse,
  writePairs: refuse,
  readPairs: refuse,
  checkpoint: refuse,
  restoreKept: refuse,
  restoreLatest: refuse,
  writeResults: refuse,
};
