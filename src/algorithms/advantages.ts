/**
 * The forms of advantage that a GRPO step may take, chosen by `grpo.advantage`. Each is a file of its own, which turns a step's
 * rollouts into advantages a trajectory or a token (grpo.ts, `Weighted`).
 */

import { type StateForm, weighStates } from './gigpo.ts';
import { type RolledOutStep, type Scale, type Weighted, weighGroups } from './grpo.ts';
import { type TreeForm, weighTrees } from './tree-advantage.ts';
import { type TurnForm, weighTurns } from './turn-advantage.ts';

/**
 * trajectory: the group-normalised reward, the same for all tokens of a response (`weighGroups`) · state: and what came of the same
 * observation elsewhere (gigpo.ts) · turn: and what each search brought (turn-advantage.ts) · tree: and among the leaves of one tree
 * (tree-advantage.ts).
 */
export type AdvantageForm = { readonly form: 'trajectory' } | StateForm | TurnForm | TreeForm;

/** Every valid rollout of the step with its advantage, in order. @param scale what centred rewards are divided by */
export async function advantagesOf(advantage: AdvantageForm, step: RolledOutStep, scale: Scale): Promise<Weighted[]> {
  switch (advantage.form) {
    case 'trajectory':
      return weighGroups(step.groups, scale);
    case 'state':
      return weighStates(step.groups, advantage, scale);
    case 'turn':
      return weighTurns(step, advantage, scale);
    case 'tree':
      return weighTrees(step.groups, scale);
  }
}
