/** One task of the grid: forks or begins its run, or goes on with it, to the task's end. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomic } from '../base/files.ts';
import { evolve } from '../evolve/evolve.ts';
import type { EvolveEvent } from '../evolve/journal.ts';
import { EMBEDDED_WORLD, type Inputs, openSetup } from '../evolve/open.ts';
import type { Settings } from '../evolve/settings.ts';
import { isStage, planStages } from '../evolve/stages.ts';
import { Checkpoints } from '../runs/checkpoints.ts';
import { checkSameInputs, presentVersions } from '../runs/config-record.ts';
import { forkRun } from '../runs/fork.ts';
import { readReportInput, renderReport } from '../runs/report.ts';
import { RunDirectory } from '../runs/run-directory.ts';
import { RunFiles } from '../runs/run-files.ts';
import { E1 } from './arms.ts';
import { withBudgetOf } from './budget.ts';
import { armFolder, type Task, unitsOf } from './tasks.ts';

export interface TaskOptions {
  /** The experiment's folder. */
  readonly folder: string;
  readonly preset: string;
  /** Directory of the base policy; null = the embedded one. */
  readonly model: string | null;
  /** Threads of the engine of a run that begins; one that is forked or continued keeps its own. */
  readonly threads: number;
  readonly signal: AbortSignal;
  /** `share` of the task's own work that is done, in [0, 1], after each of evolve's events. */
  readonly onEvent: (event: EvolveEvent, share: number) => void;
  /** Forks wait for each other: a run is forked by one at a time. */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>;
}

/** True when nothing of the task is left to do. The report is the last thing that an arm's run writes. */
export async function isFinished(task: Task, folder: string): Promise<boolean> {
  const files = new RunFiles(path.join(folder, task.folder));
  if (!existsSync(files.file('config.json'))) return false;
  const state = await new Checkpoints(files.file('checkpoints')).latestState();
  return state?.stage === task.end && (task.arm === undefined || existsSync(files.file('report.html')));
}

/** Rejects with Cancelled when the signal is aborted; the run is then continued by calling it again. */
export async function runTask(task: Task, options: TaskOptions): Promise<void> {
  const folder = path.join(options.folder, task.folder);
  const files = new RunFiles(folder);
  const { from } = task;
  if (from !== undefined && !existsSync(files.file('config.json'))) {
    const settings = await settledSettings(task, options.folder);
    await options.exclusively(() => forkRun(path.join(options.folder, from), folder, settings));
  }
  const begun = existsSync(files.file('config.json')) ? await files.config() : undefined;
  const settings = begun?.settings ?? (await settledSettings(task, options.folder));
  // A run keeps the threads that it began with, and so do its forks: training on other threads may differ in the last bits.
  const inputs: Inputs = begun?.inputs ?? {
    ...(task.data ?? EMBEDDED_WORLD),
    model: options.model,
    threads: options.threads,
  };
  const { setup, hashes, engine, close } = await openSetup(inputs, settings);
  const made = { hashes, engine };
  try {
    if (begun) checkSameInputs(begun, made, folder);
    const { preset } = options;
    const directory = begun
      ? await RunDirectory.open(folder)
      : await RunDirectory.create(folder, {
          schema: 1,
          preset,
          settings,
          inputs,
          ...made,
          versions: presentVersions(),
        });
    try {
      const before = task.arm ? undefined : planStages(settings)[task.end]!.name;
      const share = shareOf(task, settings);
      let done = 0;
      await evolve(setup, settings, directory, {
        signal: options.signal,
        ...(before === undefined ? {} : { before }),
        onEvent: (event) => {
          if (event.kind === 'progress') done = share(event.fraction);
          options.onEvent(event, done);
        },
      });
      if (task.arm)
        await writeFileAtomic(files.file('report.html'), renderReport(await readReportInput(files), setup.tokenizer));
    } finally {
      await directory.close();
    }
  } finally {
    await close();
  }
}

/** The task's settings; with a budget, at the steps that follow from what `e1` has spent. */
async function settledSettings({ arm, seed, settings }: Task, folder: string): Promise<Settings> {
  if (arm?.budget === undefined) return settings;
  const files = new RunFiles(path.join(folder, armFolder(seed, E1)));
  const [results, timing] = [await files.results(), await files.timing()];
  const firstSteps = results?.outcomes.find(({ stage }) => isStage(stage, 'grpo', 1))?.steps;
  if (firstSteps === undefined || timing === undefined) throw new Error(`${files.folder}: has no first round`);
  return withBudgetOf({ byStage: timing.byStage, firstSteps }, settings, arm.budget);
}

/** From the share of a whole run that is done to the share of the task. */
function shareOf({ begin, end, data }: Task, settings: Settings): (fraction: number) => number {
  const units = planStages(settings).map((stage) => unitsOf(stage, settings, data));
  const sum = (part: readonly number[]) => part.reduce((a, b) => a + b, 0);
  const [before, own, all] = [sum(units.slice(0, begin)), sum(units.slice(begin, end)), sum(units)];
  return (fraction) => Math.min(1, Math.max(0, (fraction * all - before) / own));
}
