/**
 * One GRPO round: questions are rolled out in groups and rewarded (by exact match, unless grpo.reward says otherwise), one
 * clipped policy-gradient update a step, k3 KL to the round's start. Method §1.1 and §4.
 *
 * Ends after its steps or at a sign of collapse; either way the weights that did best on held-out training questions stay.
 */

import { advantagesOf } from '../algorithms/advantages.ts';
import { policyGradientBatch, samplerGap, zeroVarianceShare } from '../algorithms/grpo.ts';
import { rewardOf } from '../algorithms/reward.ts';
import { meanOf } from '../benchmarks/statistics.ts';
import { NonFiniteError } from '../policy/policy.ts';
import { policyTokenCount, valid } from '../rollout/trajectory.ts';
import { type Health, healthOf, signOfCollapse } from './guards.ts';
import type { EvolveState, MetricRecord } from './journal.ts';
import type { StageOutcome } from './results.ts';
import type { Run } from './run.ts';
import { adamWOfStep } from './schedule.ts';
import { ofCycle } from './settings.ts';
import { questionsOfStep } from './setup.ts';

/** Sampler and trainer compute the same numbers: before the first update ρ should be 1 up to rounding. */
const MAX_RATIO_DEVIATION = 0.01;

type GrpoStage = { readonly name: string; readonly cycle: number; readonly from: string };

export async function grpoRound(run: Run, stage: GrpoStage, start: EvolveState): Promise<EvolveState> {
  const { policy } = run.setup;
  const { grpo, guards } = run.settings;
  const steps = ofCycle(grpo.steps, stage.cycle);
  const bestName = `${stage.name}-best`;
  let state = start;

  // The KL anchor is the checkpoint at which the round starts; the optimiser is fresh.
  await run.journal.restoreKept(stage.from, policy);
  if (grpo.klCoefficient > 0) await policy.freeze();
  // A first held-out score is recorded together with a checkpoint: with one, that checkpoint is where the round stands.
  if (start.step > 0 || start.best !== null) await run.journal.restoreLatest(policy);
  else state = await keepIfBest(run, stage, { ...state, best: null, recent: [] }, bestName);

  let reason = signOfCollapse(state.recent, guards);
  while (state.step < steps && reason === undefined) {
    run.throwIfCancelled();
    const step = state.step + 1;
    try {
      const { health, record } = await grpoStep(run, stage, step, steps);
      state = { ...state, step, recent: [...state.recent, health].slice(-guards.window) };
      await run.journal.metric(record);
      run.emit({ kind: 'step', stage: stage.name, step, steps, metrics: record });
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      reason = error.message;
      break;
    }
    reason = signOfCollapse(state.recent, guards);
    const measured =
      step % guards.every === 0 || step === steps ? await keepIfBest(run, stage, state, bestName) : state;
    // A new best has been checkpointed already.
    if (measured === state && step % run.settings.checkpointEvery === 0) await run.checkpoint(state);
    state = measured;
  }

  await run.journal.restoreKept(bestName, policy);
  const outcome: StageOutcome = {
    stage: stage.name,
    steps: state.step,
    stoppedBy: reason === undefined ? 'steps' : 'guard',
    ...(reason === undefined ? {} : { reason }),
    keptStep: state.best?.step ?? 0,
  };
  if (reason !== undefined)
    run.emit({
      kind: 'note',
      text: `${stage.name} stopped after step ${state.step}: ${reason}; step ${outcome.keptStep} is kept`,
    });
  return { ...state, results: { ...state.results, outcomes: [...state.results.outcomes, outcome] } };
}

async function grpoStep(
  run: Run,
  { name: stage, cycle }: GrpoStage,
  step: number,
  steps: number,
): Promise<{ health: Health; record: MetricRecord }> {
  const { policy } = run.setup;
  const { grpo, seed } = run.settings;
  const questions = questionsOfStep(run.slices.training, step - 1, grpo.questionsPerStep, seed, stage);
  const groups = await run.rollOut(
    questions,
    { perQuestion: grpo.groupSize, stage, step },
    rewardOf(ofCycle(grpo.reward, cycle)),
  );
  await run.journal.writeTrajectories(`${stage}-step-${String(step).padStart(4, '0')}`, groups.flat());

  // Asynchronous: a form of credit may have to ask first.
  const weighted = await advantagesOf(grpo.advantage, {
    questions,
    groups,
    score: (ids) => run.training(ids, (watch) => policy.logprobs(ids, 'present', watch)),
  });
  const sequences = weighted.map(({ trajectory }) => [...trajectory.prompt, ...trajectory.ids]);
  const [loss, update, gap] = await run.training(sequences, async (watch) => {
    // An approximate sampler is not quite the policy: π_old is the trainer's, and how far the two are apart is recorded.
    const isExact = policy.capabilities.sampler === 'exact';
    const recomputed = isExact ? undefined : await policy.logprobs(sequences, 'present', watch);
    const reference = grpo.klCoefficient > 0 ? await policy.logprobs(sequences, 'frozen', watch) : undefined;
    const batch = policyGradientBatch(weighted, reference, grpo, recomputed);
    const { losses, update } = await policy.train([batch], adamWOfStep(grpo, step, steps), watch);
    return [losses[0]!, update, recomputed && samplerGap(weighted, recomputed)] as const;
  });

  const rolledOut = valid(groups.flat());
  const deviation = loss.metrics.maxRatioDeviation ?? 0;
  if (deviation > MAX_RATIO_DEVIATION)
    run.emit({
      kind: 'note',
      text: `${stage} step ${step}: ρ is off 1 by ${deviation.toFixed(4)} before the update; sampler and trainer disagree`,
    });
  const entropy = loss.metrics.entropy ?? Number.NaN;
  const record: MetricRecord = {
    stage,
    step,
    steps,
    reward: meanOf(rolledOut, (t) => t.reward),
    exactMatch: meanOf(rolledOut, (t) => t.correct),
    searches: meanOf(rolledOut, (t) => t.searches.length),
    policyTokens: meanOf(rolledOut, policyTokenCount),
    wellFormed: meanOf(rolledOut, (t) => (t.wellFormed ? 1 : 0)),
    grounded: meanOf(
      rolledOut.filter((t) => t.grounded !== null),
      (t) => (t.grounded ? 1 : 0),
    ),
    zeroVariance: zeroVarianceShare(groups),
    failures: groups.flat().length - rolledOut.length,
    loss: loss.loss,
    entropy,
    kl: loss.metrics.referenceKl ?? null,
    clipFraction: loss.metrics.clipFraction ?? null,
    ratioDeviation: loss.metrics.maxRatioDeviation ?? null,
    ...(gap && { samplerGap: gap.mean, samplerGapMax: gap.max }),
    gradientNorm: update.gradientNorm,
    skipped: update.skipped ? 1 : 0,
  };
  return { health: healthOf(groups, entropy, run.settings.rollout.searches), record };
}

/** Asks the held-out training questions; weights that do at least as well as the best so far are kept, with a checkpoint. */
async function keepIfBest(run: Run, stage: GrpoStage, state: EvolveState, name: string): Promise<EvolveState> {
  const questions = run.slices.heldOut;
  // The same streams at every step: differences come from the weights alone.
  const groups = await run.rollOut(questions, {
    perQuestion: 2,
    measured: true,
    stage: `${stage.name}-held-out`,
    step: 0,
  });
  const score = meanOf(valid(groups.flat()), (t) => t.correct) ?? 0;
  await run.journal.metric({ stage: `${stage.name}-held-out`, step: state.step, exactMatch: score });
  if (state.best !== null && score < state.best.score) return state;
  const better = { ...state, best: { step: state.step, score } };
  await run.checkpoint(better, name);
  return better;
}
