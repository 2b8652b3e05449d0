/**
 * LLDS (arXiv 2512.04220): keeps what was sampled and is not worse than the group's mean from becoming less likely, which is how
 * GRPO collapses when it takes several updates a batch.
 *
 *   d_n = log π_old(y_n) − log π_θ(y_n),  on rollouts with A ≥ 0
 *   L   = λ · (1/N) Σ_turns 1[Σ_n d_n > 0] Σ_n max(0, d_n)            N: policy tokens of the batch
 *
 * At the present weights its gradient is that of cross-entropy of weight λ on the tokens with d_n > 0 of such turns, which is what
 * is trained on. With one update a batch π_θ = π_old and there are none.
 */
import type { CrossEntropyBatch } from '../policy/policy.ts';
import { turnsOf } from '../protocol/authors.ts';
import { policyTokenCount } from '../rollout/trajectory.ts';
import type { Weighted } from './grpo.ts';

/**
 * @param old and @param present log π of prompt and response of each, before the step and now
 * @returns its batch, and L itself
 */
export function preserveBatch(
  weighted: readonly Weighted[],
  old: readonly ArrayLike<number>[],
  present: readonly ArrayLike<number>[],
  weight: number,
): { readonly batch: CrossEntropyBatch; readonly loss: number } {
  const denominator = Math.max(
    1,
    weighted.reduce((sum, { trajectory }) => sum + policyTokenCount(trajectory), 0),
  );
  let loss = 0;
  const sequences = weighted.map(({ trajectory: { prompt, ids, mask }, advantage }, i) => {
    const weights = new Float32Array(prompt.length + ids.length);
    for (const { start, end } of turnsOf(mask)) {
      const d = (n: number) => old[i]![prompt.length + n]! - present[i]![prompt.length + n]!;
      const isKept = typeof advantage === 'number' ? advantage >= 0 : advantage[start]! >= 0;
      let sum = 0;
      for (let n = start; n < end; n++) sum += d(n);
      if (!isKept || sum <= 0) continue;
      for (let n = start; n < end; n++) {
        if (d(n) <= 0) continue;
        weights[prompt.length + n] = weight;
        loss += (weight * d(n)) / denominator;
      }
    }
    return { ids: [...prompt, ...ids], weights };
  });
  return { batch: { loss: 'cross-entropy', sequences, denominator }, loss };
}
