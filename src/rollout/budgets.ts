/**
 * One rollout measured at several search budgets.
 *
 * The policy is not told how often it may search, and its draws are keyed by the task alone. With fewer searches a rollout
 * is therefore the same up to the turn after the last of them; there it ends without an answer, unless that turn brings one.
 */
import type { RolloutTask } from './rollout.ts';
import type { Trajectory } from './trajectory.ts';
import type { RolloutLimits } from './turns.ts';

export interface BudgetedTask {
  /** To be rolled out: it may search as often as the largest budget says. */
  readonly task: RolloutTask;
  /** What `task` would have come to with this budget, once `whole` has come out of it. */
  at(budget: number, whole: Trajectory): Trajectory;
}

/** A task for several budgets, at least one. Its limits are these, but for the number of searches. */
export function budgetedTask(task: RolloutTask, limits: RolloutLimits, budgets: readonly number[]): BudgetedTask {
  const searches = Math.max(...budgets);
  const shorter = new Map<number, Trajectory>();
  const onSpent: RolloutTask['onSpent'] = (spent, trajectory) => {
    if (spent < searches && budgets.includes(spent) && !shorter.has(spent)) shorter.set(spent, trajectory());
  };
  return {
    task: { ...task, limits: { ...limits, searches }, onSpent },
    at: (budget, whole) => shorter.get(budget) ?? whole,
  };
}
