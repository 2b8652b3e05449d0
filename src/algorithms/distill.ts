/**
 * Self-distillation (the paper's OFSD of version 1, OPSD of version 2): the student trajectory's own tokens under two
 * prompts, the ordinary one and the privileged one that shows the expert trajectory.
 *
 *   p_T(v|n) = g(v | teacherPrompt(q, expert), student_<n)        frozen checkpoint, adapter off, no gradient
 *   p_S(v|n) = (g+φ)(v | studentPrompt(q), student_<n)            adapter on
 *   l(n,v)   = p_T(v|n) · (log p_T(v|n) − log p_S(v|n))
 *   L(φ)     = Σ_n m_n Σ_v min(l(n,v), τ) / Σ_n m_n
 *
 * Two other divergences may stand in place of l (policy/policy.ts). The engine computes it; this file says on which ids, under which prompts, and where m is 1: on tokens that the policy wrote.
 */
import type { Divergence, DivergenceBatch, TokenIds } from '../policy/policy.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import type { Shown } from './controls.ts';

/** A pair with both prompts as token ids. */
export interface PromptedPair {
  /** What the teacher is shown: the expert trajectory, or a control (controls.ts); null shows nothing. */
  readonly shown: Shown;
  readonly student: Trajectory;
  /** m over the student's ids: 1 where the loss is taken, on tokens that the policy wrote. */
  readonly mask: readonly (0 | 1)[];
  readonly teacherPrompt: TokenIds;
  readonly studentPrompt: TokenIds;
}

/** One batch of pairs, the mean taken over all masked tokens of the batch. A clip of null is none. */
export function divergenceBatch(
  loss: Divergence,
  pairs: readonly PromptedPair[],
  settings: { readonly clip: number | null; readonly teacherTemperature: number },
): DivergenceBatch {
  const tokens = pairs.reduce((sum, { mask }) => sum + mask.filter((m) => m === 1).length, 0);
  return {
    loss,
    pairs: pairs.map(({ teacherPrompt, studentPrompt, student, mask }) => ({
      teacherPrompt,
      studentPrompt,
      ids: student.ids,
      mask: Uint8Array.from(mask),
    })),
    clip: settings.clip ?? Number.POSITIVE_INFINITY,
    teacherTemperature: settings.teacherTemperature,
    denominator: Math.max(1, tokens),
  };
}
