/** Equal budgets: what a run of GRPO, or of another system, may take to cost what Search-E1 cost with the same seed. */
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
export function withBudgetOf(spent: Spent, settings: Settings, budget: Budget): Settings {
  return budget === 'whole' ? withWholeOf(spent, settings) : withRestOf(spent, settings, budget);
}

function withRestOf({ byStage, firstSteps }: Spent, settings: Settings, budget: 'tokens' | 'seconds'): Settings {
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

/** Most steps that a round may take until its tokens are spent, in multiples of those to be expected. */
const SLACK = 4;

/**
 * Settings of an arm whose own rounds, from the first on, share all that `e1` spent: each ends with the step that brings its
 * tokens, held-out questions and scoring included, to B / rounds. So they overshoot by less than a step each.
 */
function withWholeOf({ byStage, firstSteps }: Spent, settings: Settings): Settings {
  const tokens = (stages: Timing['byStage']) => stages.reduce((sum, s) => sum + s.sampledTokens + s.trainedTokens, 0);
  const training = byStage.filter(({ stage }) => !isStage(stage, 'evaluate'));
  const each = tokens(training) / settings.cycles;
  const price = tokens(training.filter(({ stage }) => isStage(stage, 'grpo', 1))) / Math.max(1, firstSteps);
  const steps = Math.max(1, Math.round(each / Math.max(1, price)));
  return { ...settings, grpo: { ...settings.grpo, tokens: Math.max(1, Math.round(each)), steps: [SLACK * steps] } };
}

/** The same before `e1` has run, its work in place of tokens: the steps to be expected, for plans and estimates. */
export function expectedWhole(units: { readonly first: number; readonly all: number }, settings: Settings): Settings {
  const steps = Math.max(1, Math.round(units.all / settings.cycles / (units.first / settings.grpo.steps[0]!)));
  return { ...settings, grpo: { ...settings.grpo, steps: [steps] } };
}
