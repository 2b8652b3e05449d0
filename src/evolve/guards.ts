/**
 * Signs of collapse, watched while a GRPO round trains. Other systems' users report reward falling to zero and garbled text
 * after hundreds of good steps; a guard stops the round, and the best checkpoint on held-out training questions is kept.
 */

import { zeroVarianceShare } from '../algorithms/grpo.ts';
import { isFailure, type Trajectory } from '../rollout/trajectory.ts';
import type { Settings } from './settings.ts';

/** What one step says about the round's health. */
export interface Health {
  /** Null where the engine does not report it: then no guard watches it. */
  readonly entropy: number | null;
  readonly zeroVariance: number;
  /** Well-formed and all rollouts by training suite. */
  readonly wellFormed: Readonly<Record<string, { readonly good: number; readonly all: number }>>;
}

/**
 * @param searches allowed: a rollout that used them up and asked for more was cut, so nothing is known of its form. Under a tight
 * limit that may be most rollouts.
 */
export function healthOf(groups: readonly (readonly Trajectory[])[], entropy: number | null, searches: number): Health {
  const wellFormed: Record<string, { good: number; all: number }> = {};
  for (const trajectory of groups.flat()) {
    if (isFailure(trajectory.stop) || (trajectory.stop === 'no-answer' && trajectory.searches.length >= searches))
      continue;
    const suite = wellFormed[trajectory.dataset] ?? { good: 0, all: 0 };
    wellFormed[trajectory.dataset] = { good: suite.good + (trajectory.wellFormed ? 1 : 0), all: suite.all + 1 };
  }
  return { entropy, zeroVariance: zeroVarianceShare(groups), wellFormed };
}

/** Why the round should stop, judged over a full window of recent steps; undefined while it may go on. */
export function signOfCollapse(recent: readonly Health[], guards: Settings['guards']): string | undefined {
  if (recent.length < guards.window) return undefined;
  const window = recent.slice(-guards.window);
  const mean = (of: (health: Health) => number) => window.reduce((sum, h) => sum + of(h), 0) / window.length;

  const entropies = window.flatMap((h) => h.entropy ?? []);
  const entropy = entropies.reduce((sum, value) => sum + value, 0) / entropies.length;
  if (entropies.length > 0 && !(entropy >= guards.minEntropy))
    return `entropy ${entropy.toFixed(4)} is below guards.minEntropy ${guards.minEntropy}`;
  const zeroVariance = mean((h) => h.zeroVariance);
  if (zeroVariance > guards.maxZeroVariance)
    return `${percent(zeroVariance)} of the groups have no variance, above guards.maxZeroVariance ${guards.maxZeroVariance}`;
  for (const suite of new Set(window.flatMap((h) => Object.keys(h.wellFormed)))) {
    const good = window.reduce((sum, h) => sum + (h.wellFormed[suite]?.good ?? 0), 0);
    const all = window.reduce((sum, h) => sum + (h.wellFormed[suite]?.all ?? 0), 0);
    if (all >= 10 && good / all < guards.minWellFormed)
      return `${percent(good / all)} of the rollouts on ${suite} are well formed, below guards.minWellFormed ${guards.minWellFormed}`;
  }
  return undefined;
}

const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
