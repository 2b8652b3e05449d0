/**
 * Self-distillation (the paper's OFSD of version 1, OPSD of version 2): the student trajectory's own tokens under two
 * prompts, the ordinary one and the privileged one that shows the expert trajectory.
 *
 *   p_T(v|n) = g(v | teacherPrompt(q, expert), student_<n)        frozen checkpoint, adapter off, no gradient
 *   p_S(v|n) = (g+φ)(v | studentPrompt(q), student_<n)            adapter on
 *   l(n,v)   = p_T(v|n) · (log p_T(v|n) − log p_S(v|n))
 *   L(φ)     = Σ_n m_n Σ_v min(l(n,v), τ) / Σ_n m_n
 *
 * The engine computes l; this file says on which ids, under which prompts, and where m is 1: on tokens that the policy wrote.
 */
import type { ForwardKlBatch, TokenIds } from '../policy/policy.ts';
import { policyTokenCount, type Trajectory } from '../rollout/trajectory.ts';

/** A pair with both prompts as token ids. */
export interface PromptedPair {
  readonly expert: Trajectory;
  readonly student: Trajectory;
  readonly teacherPrompt: TokenIds;
  readonly studentPrompt: TokenIds;
}

/** One batch of pairs, the mean taken over all policy tokens of the batch. */
export function forwardKlBatch(
  pairs: readonly PromptedPair[],
  settings: { readonly clip: number; readonly teacherTemperature: number },
): ForwardKlBatch {
  const tokens = pairs.reduce((sum, { student }) => sum + policyTokenCount(student), 0);
  return {
    loss: 'forward-kl',
    pairs: pairs.map(({ teacherPrompt, studentPrompt, student }) => ({
      teacherPrompt,
      studentPrompt,
      ids: student.ids,
      mask: Uint8Array.from(student.mask),
    })),
    clip: settings.clip,
    teacherTemperature: settings.teacherTemperature,
    denominator: Math.max(1, tokens),
  };
}
