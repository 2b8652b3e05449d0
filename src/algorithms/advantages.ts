/**
 * The forms of advantage that a GRPO step may take, chosen by `grpo.advantage`. Each is a file of its own, which turns a step's
 * rollouts into advantages a trajectory or a token (grpo.ts, `Weighted`).
 */
import { type RolledOutStep, type Weighted, weighGroups } from './grpo.ts';

/** trajectory: the group-normalised reward, the same for all tokens of a response (`weighGroups`). */
export type AdvantageForm = { readonly form: 'trajectory' };

/** Every valid rollout of the step with its advantage, in order. */
export async function advantagesOf(advantage: AdvantageForm, step: RolledOutStep): Promise<Weighted[]> {
  switch (advantage.form) {
    case 'trajectory':
      return weighGroups(step.groups);
  }
}
