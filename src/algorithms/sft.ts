/**
 * Supervised fine-tuning on chosen responses: the training baselines of the paper's table, and the piece that is left of
 * distillation when the teacher's distribution is replaced by its words.
 *
 *   L = −Σ_n m_n log π(y_n | x, y_<n) / Σ_n m_n         m = 1 on tokens that the policy wrote (or should have written), else 0
 */
import type { CrossEntropyBatch } from '../policy/policy.ts';
import { policyTokenCount, type Trajectory, valid } from '../rollout/trajectory.ts';

/** A prompt and the response to learn: a trajectory, or a demonstration put together like one. */
export type Response = Pick<Trajectory, 'prompt' | 'ids' | 'mask'>;

/** One batch, the mean taken over all policy tokens of the batch; what the environment wrote is only read. */
export function crossEntropyBatch(responses: readonly Response[]): CrossEntropyBatch {
  const tokens = responses.reduce((sum, response) => sum + policyTokenCount(response), 0);
  return {
    loss: 'cross-entropy',
    sequences: responses.map(({ prompt, ids, mask }) => {
      const weights = new Float32Array(prompt.length + ids.length);
      weights.set(mask, prompt.length);
      return { ids: [...prompt, ...ids], weights };
    }),
    denominator: Math.max(1, tokens),
  };
}

/**
 * Rejection sampling: of each question's group the correct trajectories, in order (failures of the environment
 * are none). Well-formed ones only: what is learned here is imitated to the letter.
 */
export function acceptedTrajectories(groups: readonly (readonly Trajectory[])[]): Trajectory[] {
  return valid(groups.flat()).filter((t) => t.correct === 1 && t.wellFormed);
}
