/**
 * The clipped policy gradient with k3 at one token, as plain numbers: for engines whose server lacks this loss, and the
 * reference of the embedded engine's graph.
 *
 *     l = −min(ρA, clip(ρ, 1−low, 1+high) A) + β (e^Δ − Δ − 1),   ρ = π/π_old,  Δ = log π_ref − log π
 *
 *     −dl/dlog π = [ρA if (A ≥ 0 and ρ ≤ 1+high) or (A < 0 and ρ ≥ 1−low), else 0] + β (e^Δ − 1)
 */
import type { PolicyGradientBatch } from './policy.ts';

export interface TokenLoss {
  readonly loss: number;
  /** −dl/dlog π: what log π of this token is multiplied with in a linear loss of the same gradient. */
  readonly slope: number;
  readonly ratio: number;
  readonly k3: number;
  /** True where the clipped branch was taken, which has no gradient. */
  readonly clipped: boolean;
}

/** @param logprobs of the present policy, of the policy that sampled, and of the reference (any number when β = 0) */
export function policyGradientAt(
  logprobs: { readonly present: number; readonly old: number; readonly reference: number },
  advantage: number,
  { clipLow, clipHigh, klCoefficient: beta }: Pick<PolicyGradientBatch, 'clipLow' | 'clipHigh' | 'klCoefficient'>,
): TokenLoss {
  const ratio = Math.exp(logprobs.present - logprobs.old);
  const free = ratio * advantage;
  const bounded = Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh) * advantage;
  const clipped = free > bounded;
  const delta = beta === 0 ? 0 : logprobs.reference - logprobs.present;
  const k3 = Math.exp(delta) - delta - 1;
  return {
    loss: beta * k3 - Math.min(free, bounded),
    slope: (clipped ? 0 : free) + beta * (Math.exp(delta) - 1),
    ratio,
    k3,
    clipped,
  };
}
