/**
 * Each rollout its own teacher (SRPO, arXiv 2604.02288): reinforcement for what is right, distillation for what is wrong, from the
 * policy shown a right sibling.
 *
 *   right, or nothing to show   A, as ever
 *   wrong                       A = 0, and  L += λ/N Σ_n e^{−H_n} KL(q_n ‖ π_n)
 *
 * q_n is the teacher's distribution behind y_<n, H_n its entropy in nats, N the policy tokens of the whole batch: where the teacher is
 * unsure itself, it says little. The teacher are the weights that the round began with, which see what credit by a right sibling sees.
 *
 * Departures: e^{−H} is ours. Of q_n its K likeliest tokens are taught, as they are, and H_n is that of those alone.
 */
import type { SoftCrossEntropyBatch, SoftTargets, TopLogprobs } from '../policy/policy.ts';
import { policyTokenCount, type Trajectory, valid } from '../rollout/trajectory.ts';
import { type RolledOutStep, trainedIds, type Weighted } from './grpo.ts';
import { findExpert } from './pairs.ts';
import { teacherTable } from './soft-targets.ts';

export interface Routing {
  /** λ. */
  readonly weight: number;
  /** K. */
  readonly topK: number;
}

export interface Routed {
  /** All trajectories; those that are distilled have no advantage. */
  readonly weighted: Weighted[];
  /** Undefined where none is distilled. */
  readonly batch: SoftCrossEntropyBatch | undefined;
  /** Share of trajectories that are distilled; the mean of their e^{−H_n}, null without any. */
  readonly figures: { readonly routed: number; readonly routedWeight: number | null };
  /** λ/N Σ e^{−H_n} H_n: the batch's loss is the KL and this. */
  readonly entropy: number;
}

/** @param top the k likeliest tokens of the teacher at the rows of each sequence */
export async function routed(
  { weight, topK: k }: Routing,
  weighted: readonly Weighted[],
  step: RolledOutStep,
  top: (sequences: readonly Pick<SoftTargets, 'ids' | 'start'>[], k: number) => Promise<readonly TopLogprobs[]>,
): Promise<Routed> {
  const prompts = weighted.map(({ trajectory }) => teacherPromptOf(trajectory, step));
  const taught = weighted.flatMap(({ trajectory }, i) => {
    const prompt = prompts[i];
    return prompt === undefined ? [] : [{ trajectory, ids: [...prompt, ...trajectory.ids], start: prompt.length }];
  });
  const tables = taught.length === 0 ? [] : await top(taught, k);
  const denominator = Math.max(
    1,
    weighted.reduce((sum, { trajectory }) => sum + policyTokenCount(trajectory), 0),
  );

  let [tokens, weights, entropies] = [0, 0, 0];
  const sequences = taught.map(({ trajectory }, i): SoftTargets => {
    const { p: q, tokens: likeliest } = teacherTable(tables[i]!, k, 1);
    const targets = new Float32Array(q.length);
    for (const [n, own] of trajectory.mask.entries()) {
      if (own !== 1) continue;
      const row = q.subarray(n * k, (n + 1) * k);
      const entropy = -row.reduce((sum, x) => sum + (x > 0 ? x * Math.log(x) : 0), 0);
      const w = Math.exp(-entropy);
      targets.set(
        row.map((x) => weight * w * x),
        n * k,
      );
      tokens += 1;
      weights += w;
      entropies += w * entropy;
    }
    const ids = trainedIds(trajectory);
    return {
      ...{ ids, start: ids.length - trajectory.ids.length, mask: Uint8Array.from(trajectory.mask) },
      ...{ k, tokens: likeliest, weights: targets },
    };
  });
  return {
    weighted: weighted.map((one, i) => (prompts[i] === undefined ? one : { ...one, advantage: 0 })),
    batch: sequences.length === 0 ? undefined : { loss: 'soft-cross-entropy', sequences, denominator },
    figures: {
      routed: taught.length / Math.max(1, weighted.length),
      routedWeight: tokens === 0 ? null : weights / tokens,
    },
    entropy: (weight * entropies) / denominator,
  };
}

/** Of a wrong rollout that has a right sibling to see, where both fit; else undefined. */
function teacherPromptOf(trajectory: Trajectory, step: RolledOutStep): readonly number[] | undefined {
  if (trajectory.correct === 1) return undefined;
  const place = step.questions.findIndex(({ id }) => id === trajectory.questionId);
  const expert = findExpert(valid(step.groups[place]!));
  if (expert === undefined) return undefined;
  const prompt = step.prompts.showing(step.questions[place]!, step.prompts.viewOf(expert));
  return prompt.length + trajectory.ids.length > step.contextLength ? undefined : prompt;
}
