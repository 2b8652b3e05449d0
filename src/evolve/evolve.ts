/**
 * Search-E1, the whole loop: cycles of one GRPO round and one self-distillation round, every stage evaluated.
 *
 *     base ─► GRPO 1 ─► pool, pairs, gate ─► distillation 1 ─► GRPO 2 ─► …
 *
 * A run is a function of setup and settings. It is interrupted and continued at any point without changing its result:
 * every draw comes from a stream keyed by (seed, stage, step, question, rollout), and a checkpoint holds the rest.
 */

import { Clock, noTime } from './clock.ts';
import type { EvolveEvent, Journal } from './journal.ts';
import { Progress } from './progress.ts';
import type { Results, Timing } from './results.ts';
import { Run } from './run.ts';
import type { Settings } from './settings.ts';
import { type Setup, sliceQuestions } from './setup.ts';
import { BASE } from './stage.ts';
import { keptBy, planStages, runStage } from './stages.ts';

export interface EvolveOptions {
  readonly onEvent?: (event: EvolveEvent) => void;
  /** Aborting it ends the run with `Cancelled`; what was checkpointed is continued by calling `evolve` again. */
  readonly signal?: AbortSignal;
  /** Stops, resumably, before this stage of the plan. */
  readonly before?: string;
}

/** Runs, or continues, to the end. The policy is left with the last stage's weights. */
export async function evolve(
  setup: Setup,
  settings: Settings,
  journal: Journal,
  { onEvent = () => {}, signal = new AbortController().signal, before }: EvolveOptions = {},
): Promise<{ results: Results; timing: Timing }> {
  const slices = sliceQuestions(setup.trainingQuestions, settings);
  const plan = planStages(settings);
  const stored = await journal.restoreLatest(setup.policy);
  const clock = new Clock(stored?.timing ?? noTime, setup.retriever);
  const progress = new Progress(plan, setup, settings, onEvent);
  const run = new Run({ setup, settings, slices, journal, signal, clock, emit: (event) => progress.see(event) });

  let state = stored;
  if (state === undefined) {
    state = { stage: 0, step: 0, best: null, recent: [], results: noResults, timing: noTime };
    await run.checkpoint(state, BASE);
  }
  progress.startAt(state.stage, state.step);

  while (state.stage < plan.length && plan[state.stage]!.name !== before) {
    run.throwIfCancelled();
    const stage = plan[state.stage]!;
    run.stage = stage.name;
    run.emit({ kind: 'stage', stage: stage.name, index: state.stage, stages: plan.length });
    clock.begin(stage.name);
    const ended = await runStage(run, stage, state);
    state = { ...ended, stage: state.stage + 1, step: 0, best: null, recent: [] };
    await run.checkpoint(state, keptBy(stage, settings).at(-1));
    await journal.writeResults(state.results, clock.timing());
  }
  // Once more for a run that was killed between its last checkpoint and its last results.
  const [results, timing] = [state.results, clock.timing()];
  await journal.writeResults(results, timing);
  return { results, timing };
}

const noResults: Results = { schema: 1, measurements: [], pools: [], gates: [], outcomes: [] };
