/**
 * The forms of advantage that a GRPO step may take, chosen by `grpo.advantage`. Each is a file of its own, which turns a step's
 * rollouts into advantages a trajectory or a token (grpo.ts, `Weighted`).
 */
import type { Question } from '../base/question.ts';
import type { TokenIds } from '../policy/policy.ts';
import type { Trajectory } from '../rollout/trajectory.ts';
import { type Weighted, weighGroups } from './grpo.ts';

/** What a form has to go by. */
export interface RolledOutStep {
  readonly questions: readonly Question[];
  /** The rollouts of each question, failures of the environment among them. */
  readonly groups: readonly (readonly Trajectory[])[];
  /** log π of given ids under the present weights, a stream a sequence (policy/policy.ts): credit by scoring asks here, once. */
  readonly score: (sequences: readonly TokenIds[]) => Promise<Float32Array[]>;
}

/** trajectory: the group-normalised reward, the same for all tokens of a response (`weighGroups`). */
export type AdvantageForm = { readonly form: 'trajectory' };

/** Every valid rollout of the step with its advantage, in order. */
export async function advantagesOf({ form }: AdvantageForm, step: RolledOutStep): Promise<Weighted[]> {
  switch (form) {
    case 'trajectory':
      return weighGroups(step.groups);
  }
}
