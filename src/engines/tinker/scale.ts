/**
 * What to send so that a server's reduction gives the gradient that is wanted:
 *
 *     −1/D Σ_t m_t c_t ∇log π_t        D one denominator for all datums of a step, m mask, c coefficient
 *
 *   sum               Σ over tokens and datums of w·l
 *   mean-of-weights   Σ w·l / max(Σ w, 1) over a request (hatchery)
 *   mean-of-datums    in a datum Σ w·l / Σ w, then the mean over all B datums since the last step (SkyRL's JAX backend)
 */
import type { Profile } from './profiles.ts';

export interface StepSize {
  readonly denominator: number;
  /** B, all datums that the step sends. */
  readonly datums: number;
}

/**
 * Weights and advantages of one datum for importance_sampling at ratio 1.
 * @param requestTokens tokens with a mask of 1 in the same request
 */
export function scaledAdvantages(
  reduction: Profile['reduction'],
  mask: Uint8Array,
  coefficients: Float32Array,
  { denominator, datums }: StepSize,
  requestTokens: number,
): { readonly weights: Float32Array; readonly advantages: Float32Array } {
  const own = mask.reduce((sum, m) => sum + m, 0);
  const scaled = (weight: number, advantage: number) => ({
    weights: Float32Array.from(mask, (m) => m * weight),
    advantages: coefficients.map((c, t) => (mask[t] ? c * advantage : 0)),
  });
  switch (reduction) {
    case 'sum':
      return scaled(1, 1 / denominator);
    case 'mean-of-weights': {
      // Σ w must not exceed 1, or it divides: w = m / W with W ≥ the request's tokens, and A = c W / D.
      const most = Math.max(denominator, requestTokens);
      return scaled(1 / most, most / denominator);
    }
    case 'mean-of-datums':
      return scaled(1, (own * datums) / denominator);
  }
}

/** True where cross_entropy with weights m c / D has the wanted gradient: Σ w must not divide, and the size of w must count. */
export function takesWeights(reduction: Profile['reduction'], sumOfWeights: number): boolean {
  // Rounding of many small weights may end a hair above 1; the division then changes nothing that float32 shows.
  return reduction === 'sum' || (reduction === 'mean-of-weights' && sumOfWeights <= 1 + 1e-6);
}
