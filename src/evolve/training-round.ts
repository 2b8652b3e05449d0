/**
 * One round of training, whichever: where it begins, its steps, and which weights it leaves. What a GRPO, a distillation and a
 * supervised round differ in is a `Round`.
 *
 *     begin   the kept checkpoint `from`, frozen as anchor or teacher where one is needed; optimiser and adapter fresh
 *     steps   batch ─► train ─► record; a checkpoint; now and then the held-out questions
 *     end     the last weights or the best ones, the adapter merged; an outcome
 *
 * It is continued after any interruption to the same bits: what a step draws is keyed by its number.
 */
import { meanOf } from '../benchmarks/statistics.ts';
import {
  type AdapterConfig,
  type CallOptions,
  type LossBatch,
  type LossResult,
  NonFiniteError,
} from '../policy/policy.ts';
import { valid } from '../rollout/trajectory.ts';
import { type Health, signOfCollapse } from './guards.ts';
import type { EvolveState, MetricRecord } from './journal.ts';
import type { StageOutcome } from './results.ts';
import type { Run } from './run.ts';
import { adamWOfStep } from './schedule.ts';
import type { Settings } from './settings.ts';
import { bestName, heldOutName, heldOutShard } from './shards.ts';
import type { TrainingStage } from './stage.ts';

/** What one kind of round is, over what all have in common. */
export interface Round {
  readonly steps: number;
  /** It ends with the step that brings its tokens, generated and trained, to so many. Default: no bound. */
  readonly tokens?: number;
  readonly optimizer: Parameters<typeof adamWOfStep>[0];
  /** The weights at its start are kept frozen: the KL anchor, or the teacher. */
  readonly freezes: boolean;
  /** Trained in place of the weights, and merged into them at the end; null trains all weights. */
  readonly adapter: AdapterConfig | null;
  /** The weights that it leaves: the last, or those that answered most held-out questions right, the later ones of equals. */
  readonly keep: 'last' | 'best';
  /** Called while its start is present and frozen: before any step, and before what was trained since is brought back. */
  readonly atStart?: (() => Promise<void>) | undefined;
  /** Prepares a step, from 1. */
  readonly prepare: (step: number) => Promise<TrainingStep> | TrainingStep;
}

/** One step: a batch or several, whose gradients are added up for one update of the optimiser. */
export interface TrainingStep {
  /** All that the engine reads to train, for the count of trained tokens. */
  readonly read: readonly { readonly length: number }[];
  /** What is trained on; it may ask the engine for log-probabilities first. */
  readonly batches: (watch: CallOptions) => Promise<readonly LossBatch[]> | readonly LossBatch[];
  /** Writes what is to be kept whatever the update finds. */
  readonly beforeUpdate?: () => Promise<void>;
  /**
   * Further updates on the same rollouts, in order: what each is trained on, asked for once the one before is done. Each reads
   * `read` again.
   */
  readonly further?: readonly (() => Promise<readonly LossBatch[]>)[];
  /** What the first update measured, for its line of metrics; it writes what else is to be kept. */
  readonly record: (losses: readonly LossResult[]) => Promise<Figures> | Figures;
}

export interface Figures {
  readonly metrics: Readonly<Record<string, number | string | null>>;
  /** Watched for signs of collapse. */
  readonly health?: Health;
}

type Stage = Pick<TrainingStage, 'name' | 'from'>;

/** Runs it from where `start` stands to its end; the policy is left with the weights that are kept. */
export async function trainingRound(run: Run, stage: Stage, start: EvolveState, round: Round): Promise<EvolveState> {
  const { settings } = run;
  let state = await begin(run, stage, start, round);

  let reason = collapseOf(run, state);
  const isSpent = () => round.tokens !== undefined && run.tokensOf(stage.name) >= round.tokens;
  while (state.step < round.steps && reason === undefined && !isSpent()) {
    run.throwIfCancelled();
    const step = state.step + 1;
    try {
      const { metrics, health } = await trainStep(run, round, step);
      const record: MetricRecord = { stage: stage.name, step, steps: round.steps, ...metrics };
      await run.journal.metric(record);
      run.emit({ kind: 'step', stage: stage.name, step, steps: round.steps, metrics: record });
      const recent = health ? [...state.recent, health].slice(-settings.guards.window) : state.recent;
      state = { ...state, step, recent };
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      reason = error.message;
      break;
    }
    reason = collapseOf(run, state);
    const asks = round.keep === 'best' && (step % settings.guards.every === 0 || step === round.steps || isSpent());
    const asked = asks ? await keepIfBest(run, stage, state) : state;
    // A new best has been checkpointed already.
    if (asked === state && step % settings.checkpointEvery === 0) await run.checkpoint(state);
    state = asked;
  }

  return end(run, stage, state, round, reason);
}

/** A stage's end, on record. */
export function withOutcome(state: EvolveState, stage: Stage, outcome: Omit<StageOutcome, 'stage'>): EvolveState {
  const outcomes = [...state.results.outcomes, { stage: stage.name, ...outcome }];
  return { ...state, results: { ...state.results, outcomes } };
}

/** The items whose longest sequence the model can read; how many are left out is said. @param way how to leave out fewer */
export function thatFit<T>(
  run: Run,
  stage: string,
  what: string,
  items: readonly T[],
  longest: (item: T) => number,
  way?: string,
): T[] {
  const context = run.setup.policy.info.contextLength;
  const fit = items.filter((item) => longest(item) <= context);
  if (fit.length < items.length)
    run.emit({
      kind: 'note',
      text: `${stage}: ${items.length - fit.length} of ${items.length} ${what} left out: they exceed the model's context of ${context} tokens${way === undefined ? '' : ` (${way})`}`,
    });
  return fit;
}

async function begin(run: Run, stage: Stage, start: EvolveState, round: Round): Promise<EvolveState> {
  const { policy } = run.setup;
  // A first held-out score is recorded together with a checkpoint: with one, that checkpoint is where the round stands.
  const isFresh = start.step === 0 && start.best === null;
  if (isFresh || round.freezes) await run.journal.restoreKept(stage.from, policy);
  if (round.freezes) await policy.freeze();
  await round.atStart?.();
  if (!isFresh) {
    await run.journal.restoreLatest(policy);
    return start;
  }
  if (round.adapter) await policy.attachAdapter(round.adapter);
  return round.keep === 'best' ? keepIfBest(run, stage, start) : start;
}

/** @param reason why it stopped before its last step; undefined when it did not */
async function end(
  run: Run,
  stage: Stage,
  state: EvolveState,
  round: Round,
  reason: string | undefined,
): Promise<EvolveState> {
  const { policy } = run.setup;
  const isBroken = reason !== undefined && round.keep === 'last';
  if (round.keep === 'best') await run.journal.restoreKept(bestName(stage.name), policy);
  else if (isBroken) await run.journal.restoreKept(stage.from, policy);
  // Where a broken round goes back to there is no adapter.
  if (round.adapter && !isBroken) await policy.mergeAdapter();

  const keptStep = round.keep === 'best' ? state.best!.step : isBroken ? 0 : state.step;
  if (reason === undefined) return withOutcome(state, stage, { steps: state.step, stoppedBy: 'steps', keptStep });
  const kept = keptStep === 0 ? stage.from : `step ${keptStep}`;
  run.emit({ kind: 'note', text: `${stage.name} stopped after step ${state.step}: ${reason}; ${kept} is kept` });
  return withOutcome(state, stage, { steps: state.step, stoppedBy: 'guard', reason, keptStep });
}

async function trainStep(run: Run, round: Round, step: number): Promise<Figures> {
  const { read, batches, beforeUpdate, further = [], record } = await round.prepare(step);
  const adamW = adamWOfStep(round.optimizer, step, round.steps);
  const taught = await run.training(read, async (watch) => batches(watch));
  await beforeUpdate?.();
  // What it reads has been counted.
  const { losses, update } = await run.training([], (watch) => run.setup.policy.train(taught, adamW, watch));
  for (const batchesOf of further) {
    const again = await batchesOf();
    await run.training(read, (watch) => run.setup.policy.train(again, adamW, watch));
  }
  const { metrics, ...rest } = await record(losses);
  const { gradientNorm, skipped } = update;
  return { ...rest, metrics: { ...metrics, gradientNorm, skipped: skipped ? 1 : 0 } };
}

/** Why the round should stop; only a round whose steps tell their health is watched. */
function collapseOf(run: Run, { recent }: EvolveState): string | undefined {
  return recent.length === 0 ? undefined : signOfCollapse(recent, run.settings.guards);
}

/** Rollouts of a held-out question. */
const HELD_OUT_SAMPLES = 2;

/** How many rollouts a round of so many steps takes to choose its best weights. */
export function heldOutRollouts(steps: number, { every, heldOutQuestions }: Settings['guards']): number {
  return (Math.ceil(steps / every) + 1) * heldOutQuestions * HELD_OUT_SAMPLES;
}

/** Asks the held-out training questions; weights that do at least as well as the best so far are kept, with a checkpoint. */
async function keepIfBest(run: Run, stage: Stage, state: EvolveState): Promise<EvolveState> {
  const name = heldOutName(stage.name);
  // The same streams at every step: differences come from the weights alone. Exact match, whatever the reward.
  const groups = await run.rollOut(run.slices.heldOut, {
    perQuestion: HELD_OUT_SAMPLES,
    measured: true,
    stage: name,
    step: 0,
  });
  await run.journal.writeTrajectories(heldOutShard(stage.name, state.step), groups.flat());
  const score = meanOf(valid(groups.flat()), (t) => t.correct) ?? 0;
  await run.journal.metric({ stage: name, step: state.step, exactMatch: score });
  if (state.best !== null && score < state.best.score) return state;
  const better = { ...state, best: { step: state.step, score } };
  await run.checkpoint(better, bestName(stage.name));
  return better;
}
