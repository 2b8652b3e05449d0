/** Equal budgets: how many steps of GRPO cost what Search-E1 cost with the same seed. */
import type { Timing } from '../evolve/results.ts';
import type { Settings } from '../evolve/settings.ts';
import { isStage } from '../evolve/stages.ts';
import type { Budget } from './arms.ts';

/** What an `e1` run spent. */
export interface Spent {
  readonly byStage: Timing['byStage'];
  /** Steps of its first round. */
  readonly firstSteps: number;
}

/**
 * Settings of the arm that spends on GRPO alone what the `e1` run spent, evaluation left out. The first round is `e1`'s own;
 *
 *     n = (B_e1 − B_1) / (B_1 / n_1) / rounds        B in tokens (generated + trained) or seconds
 *
 * steps go into each later round. The price of a step is that of the first round, held-out questions included: the policy that
 * goes on is the one that this round made, and `e1`'s later steps are cheaper by the searches that distillation saved.
 */
export function withBudgetOf({ byStage, firstSteps }: Spent, settings: Settings, budget: Budget): Settings {
  const training = byStage.filter(({ stage }) => !isStage(stage, 'evaluate'));
  const spent = (stages: Timing['byStage']) =>
    stages.reduce((sum, s) => sum + (budget === 'seconds' ? s.seconds : s.sampledTokens + s.trainedTokens), 0);
  const first = spent(training.filter(({ stage }) => isStage(stage, 'grpo', 1)));
  // A first round that ended before its first step leaves no price to go by: then a single step.
  const price = firstSteps === 0 ? Number.POSITIVE_INFINITY : first / firstSteps;
  const rounds = settings.cycles - 1;
  const steps = Math.max(1, Math.round((spent(training) - first) / price / rounds));
  return { ...settings, grpo: { ...settings.grpo, steps: [settings.grpo.steps[0]!, steps] } };
}
