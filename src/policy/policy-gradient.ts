/**
 * The clipped policy gradient with its KL term, token by token, in float64. What the embedded engine computes in a graph, an
 * engine that is given a gradient by log π computes here; it is also the truth of that graph's tests.
 *
 *   loss = −min(ρ A, clip(ρ, 1−low, 1+high) A) + β (e^Δ − Δ − 1)          ρ = π/π_old, Δ = log π_ref − log π
 *   G    = −∂loss/∂log π = [ρ A, or 0 where the clipped branch is the smaller one] + β (e^Δ − 1)
 */
import type { LossResult, PolicyGradientBatch } from './policy.ts';

/** One token. */
export interface PolicyGradientToken {
  readonly logprob: number;
  readonly oldLogprob: number;
  /** Without a reference Δ is 0. */
  readonly referenceLogprob?: number | undefined;
  readonly advantage: number;
}

export interface PolicyGradientTerms {
  readonly loss: number;
  /** G. */
  readonly pull: number;
  /** e^Δ − Δ − 1, the k3 estimate of the KL to the reference; not below 0. */
  readonly k3: number;
  /** ρ − 1. */
  readonly ratioDeviation: number;
  /** Whether the clipped branch was taken. */
  readonly clipped: boolean;
}

type Clip = Pick<PolicyGradientBatch, 'clipLow' | 'clipHigh' | 'klCoefficient'>;

export function policyGradientTerms(
  { logprob, oldLogprob, referenceLogprob = logprob, advantage }: PolicyGradientToken,
  { clipLow, clipHigh, klCoefficient }: Clip,
): PolicyGradientTerms {
  const ratio = Math.exp(logprob - oldLogprob);
  const free = ratio * advantage;
  const bounded = Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh) * advantage;
  const clipped = free > bounded;
  const delta = referenceLogprob - logprob;
  const k3 = Math.expm1(delta) - delta;
  return {
    loss: klCoefficient * k3 - Math.min(free, bounded),
    pull: (clipped ? 0 : free) + klCoefficient * Math.expm1(delta),
    k3,
    ratioDeviation: Math.expm1(logprob - oldLogprob),
    clipped,
  };
}

/**
 * A whole batch, given log π of its sequences (streams as in the contract). `pulls` holds mask · G of every token: the weights
 * of the cross-entropy that has the gradient of this loss, −1/denominator Σ_t pulls_t ∇ log π(ids_t). No entropy is measured.
 */
export function policyGradientOf(
  batch: PolicyGradientBatch,
  logprobs: readonly Float32Array[],
): { readonly pulls: Float32Array[]; readonly result: LossResult } {
  const sums = { loss: 0, k3: 0, clipped: 0, tokens: 0, maxRatioDeviation: 0 };
  const pulls = batch.sequences.map(({ ids, mask, advantages, oldLogprobs, referenceLogprobs }, i) => {
    const stream = new Float32Array(ids.length);
    // Entry 0 has no context: never read.
    for (let t = 1; t < ids.length; t++) {
      if (mask[t] === 0) continue;
      const token = {
        logprob: logprobs[i]![t]!,
        oldLogprob: oldLogprobs[t]!,
        referenceLogprob: referenceLogprobs?.[t],
        advantage: advantages[t]!,
      };
      const terms = policyGradientTerms(token, batch);
      stream[t] = terms.pull;
      sums.loss += terms.loss;
      sums.k3 += terms.k3;
      sums.clipped += terms.clipped ? 1 : 0;
      sums.tokens += 1;
      sums.maxRatioDeviation = Math.max(sums.maxRatioDeviation, Math.abs(terms.ratioDeviation));
    }
    return stream;
  });
  const hasReference = batch.sequences.every(({ referenceLogprobs }) => referenceLogprobs !== undefined);
  const mean = (sum: number) => (sums.tokens === 0 ? 0 : sum / sums.tokens);
  return {
    pulls,
    result: {
      loss: sums.loss / batch.denominator,
      tokens: sums.tokens,
      metrics: {
        ...(hasReference && { referenceKl: mean(sums.k3) }),
        clipFraction: mean(sums.clipped),
        maxRatioDeviation: sums.maxRatioDeviation,
      },
    },
  };
}
