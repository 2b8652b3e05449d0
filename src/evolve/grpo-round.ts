/**
 * One GRPO round: questions are rolled out in groups and rewarded (by exact match, unless grpo.reward says otherwise), one
 * clipped policy-gradient update a step, k3 KL to the round's start. Method §1.1 and §4.
 *
 * Ends after its steps or at a sign of collapse; either way the weights that did best on held-out training questions stay.
 */
import { advantagesOf } from '../algorithms/advantages.ts';
import { scoredPasses, withCredit } from '../algorithms/credit.ts';
import {
  policyGradientBatch,
  type RolledOutStep,
  sampledIds,
  samplerGap,
  trainedIds,
  type Weighted,
  withGradient,
  zeroVarianceShare,
} from '../algorithms/grpo.ts';
import { rewardOf } from '../algorithms/reward.ts';
import { type Routed, type Routing, routed } from '../algorithms/routed.ts';
import { readOnce } from '../algorithms/tree-advantage.ts';
import { meanOf } from '../benchmarks/statistics.ts';
import type { LossResult, PolicyGradientBatch, TokenIds } from '../policy/policy.ts';
import { goldOfFile } from '../rollout/gold.ts';
import { noiseShare } from '../rollout/noise.ts';
import { policyTokenCount, type Trajectory, valid } from '../rollout/trajectory.ts';
import { furtherUpdates } from './further-updates.ts';
import { groupRollouts, rolloutsOf } from './group-rollouts.ts';
import { healthOf } from './guards.ts';
import type { EvolveState } from './journal.ts';
import { furtherQuestions, sampleGroups } from './mixed-groups.ts';
import { rolledOutStep } from './rolled-out-step.ts';
import type { Groups, Run } from './run.ts';
import { ofCycle, type Settings } from './settings.ts';
import { questionsOfStep } from './setup.ts';
import { bestName, stepShard } from './shards.ts';
import type { StageKind, TrainingStage } from './stage.ts';
import { heldOutRollouts, type TrainingStep, trainingRound } from './training-round.ts';
import { trainingViews } from './training-view.ts';

/** Sampler and trainer compute the same numbers: before the first update ρ should be 1 up to rounding. */
const MAX_RATIO_DEVIATION = 0.01;

/** A trajectory that is only scored, as for the KL anchor or for credit, in trained ones. */
const SCORED_TRAJECTORY = 0.35;
const TRAINED_TRAJECTORY = 1 + SCORED_TRAJECTORY;

export interface GrpoStage extends TrainingStage {
  readonly kind: 'grpo';
}

export const grpoKind: StageKind<GrpoStage> = {
  names: { grpo: 'GRPO' },
  decides({ rollout, grpo: { steps, reward, ...grpo }, guards, distill }, { cycle }) {
    return {
      rollout,
      grpo,
      guards,
      ...((grpo.credit || grpo.routed) && {
        'distill.expertView': distill.expertView,
        'distill.expertTokens': distill.expertTokens,
      }),
      [`grpo.steps of cycle ${cycle}`]: ofCycle(steps, cycle),
      [`grpo.reward of cycle ${cycle}`]: ofCycle(reward, cycle),
    };
  },
  work({ cycle }, _, { grpo, guards }) {
    const steps = ofCycle(grpo.steps, cycle);
    const trajectories = steps * grpo.questionsPerStep * grpo.groupSize;
    const asked = steps * grpo.questionsPerStep * rolloutsOf(grpo);
    // At most: how many groups are mixed is not known beforehand.
    const rollouts = asked * (1 + grpo.resample) + heldOutRollouts(steps, guards);
    const scored = grpo.credit === null ? 0 : scoredPasses(grpo.credit) * SCORED_TRAJECTORY;
    // At most: half of the rollouts are wrong, each read by its teacher and once more by itself.
    const routed = grpo.routed === null ? 0 : 0.5 * TRAINED_TRAJECTORY;
    const again = (grpo.updates - 1) * (1 + (grpo.preserve === null ? 0 : SCORED_TRAJECTORY));
    return { rollouts, trained: trajectories * (TRAINED_TRAJECTORY + scored + routed + again), steps };
  },
  load: ({ grpo, distill }) => ({
    title: 'GRPO',
    adapterRank: null,
    freezes: needsFrozen(grpo),
    extraTokens: grpo.credit === null && grpo.routed === null ? 0 : distill.expertTokens,
  }),
  kept: ({ name }) => [bestName(name), name],
  stepsAreRollouts: false,
  run: grpoRound,
};

const needsFrozen = ({ klCoefficient, routed }: Settings['grpo']) => klCoefficient > 0 || routed !== null;

type Stage = Pick<GrpoStage, 'name' | 'cycle' | 'from'>;

export function grpoRound(run: Run, stage: Stage, start: EvolveState): Promise<EvolveState> {
  const { grpo } = run.settings;
  return trainingRound(run, stage, start, {
    steps: ofCycle(grpo.steps, stage.cycle),
    ...(grpo.tokens > 0 && { tokens: grpo.tokens }),
    optimizer: grpo,
    // π_ref, or the teacher: the checkpoint at which the round starts.
    freezes: needsFrozen(grpo),
    adapter: null,
    keep: 'best',
    prepare: (step) => grpoStep(run, stage, step),
  });
}

/**
 *   r = Σ parts,  A from the group's r        J = mean over policy tokens of [ min(ρ A, clip(ρ, 1−ε, 1+ε) A) − β (e^Δ − Δ − 1) ]
 *
 * with ρ = π/π_old, Δ = log π_ref − log π; ρ = 1 where the gradient of the first update is taken, by default the only one.
 */
async function grpoStep(run: Run, { name: stage, cycle }: Stage, step: number): Promise<TrainingStep> {
  const { policy } = run.setup;
  const { grpo, seed } = run.settings;
  const { training } = run.slices;
  const reward = rewardOf(ofCycle(grpo.reward, cycle), run.setup.gold ?? goldOfFile);
  const course = grpo.noise;
  const noise = course === null ? 0 : noiseShare(course, step, ofCycle(grpo.steps, cycle));
  const rollouts = groupRollouts(run, { stage, step, noise }, reward);
  const sampled = await sampleGroups(
    grpo,
    questionsOfStep(training, step - 1, grpo.questionsPerStep, seed, stage),
    furtherQuestions(training, run.settings, { stage, step }),
    rollouts.rollOut,
  );
  const { questions, groups, all: rolledOutGroups } = sampled;

  // Asynchronous: credit by scoring has to ask first.
  const rolledOut = rolledOutStep(run, questions, groups);
  const plain = await advantagesOf(grpo.advantage, rolledOut, grpo.scale);
  const { weighted: credited, figures } =
    grpo.credit === null ? { weighted: plain, figures: {} } : await withCredit(grpo.credit, plain, rolledOut, step);
  const routing = grpo.routed && (await routeWrong(run, grpo.routed, credited, rolledOut));
  const weighted = routing?.weighted ?? credited;
  // Without the KL term, what has no advantage has no gradient: it is not read again, and counts in the mean alone.
  const taught = grpo.klCoefficient > 0 ? weighted : withGradient(weighted);
  const read = taught.map(({ trajectory }) => trainedIds(trajectory));
  let reference: Float32Array[] | undefined;
  let recomputed: Float32Array[] | undefined;
  let trained: PolicyGradientBatch | undefined;
  const more = await furtherUpdates(grpo, weighted, rolledOut, () => trained!);
  return {
    read: [...readOnce(taught.map(({ trajectory }) => trajectory)), ...(routing?.batch?.sequences ?? []).map(lengthOf)],
    further: more.further,
    async batches(watch) {
      // An approximate sampler is not quite the policy: π_old is the trainer's, and how far the two are apart is recorded.
      const isExact = policy.capabilities.sampler === 'exact';
      const asSampled = () => taught.map(({ trajectory }) => sampledIds(trajectory));
      recomputed = isExact ? undefined : await policy.logprobs(asSampled(), 'present', watch);
      reference = grpo.klCoefficient > 0 ? await policy.logprobs(read, 'frozen', watch) : undefined;
      trained = policyGradientBatch(taught, reference, grpo, recomputed, weighted);
      return routing?.batch ? [trained, routing.batch] : [trained];
    },
    // An update may find no number: then these rollouts are what one wants to look at.
    async beforeUpdate() {
      const seen = new Map([...trainingViews(weighted, undefined), ...trainingViews(taught, reference, recomputed)]);
      const all = rolledOutGroups.flat().map((one) => ({ ...one, ...seen.get(one) }));
      await run.journal.writeTrajectories(stepShard(stage, step), all);
    },
    record([result, routedResult]) {
      warn(run, stage, step, result!);
      const health = healthOf(rolledOutGroups, result!.metrics.entropy ?? null, run.settings.rollout.searches);
      const ofGroups = { ...sampled.figures, ...rollouts.figures() };
      const metrics = { ...rolloutFigures(rolledOutGroups), ...ofGroups, ...figures, ...more.figures() };
      return {
        metrics: {
          ...metrics,
          ...(course && { noise }),
          ...(routing && { ...routing.figures, routedLoss: (routedResult?.loss ?? 0) - routing.entropy }),
          ...lossFigures(result!, rolledOutGroups, recomputed && samplerGap(taught, recomputed)),
        },
        health,
      };
    },
  };
}

const lengthOf = ({ ids: { length } }: { readonly ids: TokenIds }) => ({ length });

function routeWrong(run: Run, routing: Routing, weighted: readonly Weighted[], step: RolledOutStep): Promise<Routed> {
  const { policy } = run.setup;
  const topK = Math.min(routing.topK, policy.info.vocabulary, policy.capabilities.topLogprobs);
  return routed({ ...routing, topK }, weighted, step, (sequences, k) =>
    run.training(sequences.map(lengthOf), (watch) => policy.topLogprobs(sequences, k, 'frozen', watch)),
  );
}

function rolloutFigures(groups: Groups): Record<string, number | null> {
  const all = groups.flat();
  // What was said under a hint says nothing of what the policy does without one.
  const rolledOut = valid(all).filter(({ plainPrompt }) => plainPrompt === undefined);
  const mean = (of: (t: Trajectory) => number) => meanOf(rolledOut, of);
  return {
    reward: mean((t) => t.reward),
    exactMatch: mean((t) => t.correct),
    searches: mean((t) => t.searches.length),
    policyTokens: mean(policyTokenCount),
    wellFormed: mean((t) => (t.wellFormed ? 1 : 0)),
    grounded: meanOf(
      rolledOut.filter((t) => t.grounded !== null),
      (t) => (t.grounded ? 1 : 0),
    ),
    zeroVariance: zeroVarianceShare(groups),
    failures: all.length - valid(all).length,
  };
}

function lossFigures(
  { loss, metrics }: LossResult,
  groups: Groups,
  gap: ReturnType<typeof samplerGap> | undefined,
): Record<string, number | null> {
  return {
    loss,
    entropy: metrics.entropy ?? null,
    ...(metrics.entropy === undefined && { entropyEstimate: sampledEntropy(groups) }),
    kl: metrics.referenceKl ?? null,
    clipFraction: metrics.clipFraction ?? null,
    ratioDeviation: metrics.maxRatioDeviation ?? null,
    ...(gap && { samplerGap: gap.mean, samplerGapMax: gap.max }),
  };
}

/** −mean log π of the policy's tokens: sampled at temperature 1, an unbiased estimate of the entropy; null without tokens. */
function sampledEntropy(groups: Groups): number | null {
  const rolledOut = valid(groups.flat()).filter(({ plainPrompt }) => plainPrompt === undefined);
  const tokens = rolledOut.reduce((sum, t) => sum + policyTokenCount(t), 0);
  if (tokens === 0) return null;
  return (
    -rolledOut.reduce((sum, t) => t.logprobs.reduce((all, x, i) => all + (t.mask[i] === 1 ? x : 0), sum), 0) / tokens
  );
}

function warn(run: Run, stage: string, step: number, { metrics }: LossResult): void {
  const { entropy, maxRatioDeviation: deviation = 0 } = metrics;
  const note = (text: string) => run.emit({ kind: 'note', text });
  if (entropy === undefined && step === 1)
    note(`${stage}: the engine reports no entropy, so guards.minEntropy is not watched`);
  // Under a hint it was sampled from another distribution than the one that is trained.
  if (deviation > MAX_RATIO_DEVIATION && run.settings.grpo.hint === null)
    note(
      `${stage} step ${step}: ρ is off 1 by ${deviation.toFixed(4)} before the update; sampler and trainer disagree`,
    );
}
