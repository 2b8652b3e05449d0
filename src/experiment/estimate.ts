/** What an experiment will take, from a few seconds of the real thing on this machine. */
import { checkpointBytes, countsOf, estimateRun, estimateStages } from '../evolve/estimate.ts';
import type { Setup } from '../evolve/setup.ts';
import { planStages } from '../evolve/stages.ts';
import type { Task } from './tasks.ts';

export interface ExperimentEstimate {
  /** With all cores at work, however they are shared out. */
  readonly seconds: number;
  readonly tasks: readonly { readonly folder: string; readonly seconds: number }[];
  /** Of all checkpoints, in bytes; null where the engine does not say how large its model is. Forks share those of their past. */
  readonly diskForCheckpoints: number | null;
}

/** `setup` is that of any of the tasks; its engine has all threads. The policy stays as it is. Null as `estimateRun` is. */
export async function estimateExperiment(setup: Setup, tasks: readonly Task[]): Promise<ExperimentEstimate | null> {
  const run = await estimateRun(setup, tasks[0]!.settings);
  if (run === null) return null;
  const times = tasks.map(({ folder, settings, begin, end }) => {
    const stages = estimateStages(countsOf(setup), settings, run).slice(begin, end);
    return { folder, seconds: stages.reduce((sum, stage) => sum + stage.seconds, 0) };
  });
  const disk = tasks.map(({ settings, begin, end }) =>
    checkpointBytes(setup.policy, planStages(settings).slice(begin, end), settings),
  );
  return {
    seconds: times.reduce((sum, { seconds }) => sum + seconds, 0),
    tasks: times,
    diskForCheckpoints: disk.reduce((sum, bytes) => (sum === null || bytes === null ? null : sum + bytes), 0),
  };
}
