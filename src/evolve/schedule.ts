/** The learning rate over the steps of a stage, and the optimiser's step that it gives. */
import type { AdamWStep } from '../policy/policy.ts';

/** A peak η with the way up to it and down from it. */
interface Schedule {
  /** η, the peak. */
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly schedule: 'constant' | 'cosine';
}

/** AdamW of one step (from 1, of so many) as settings ask for it: all but the learning rate is the same at every step. */
export function adamWOfStep(settings: AdamWStep & Schedule, step: number, steps: number): AdamWStep {
  const { beta1, beta2, epsilon, weightDecay, clipNorm, minGradientNorm } = settings;
  const learningRate = learningRateOfStep(settings, step, steps);
  return { learningRate, beta1, beta2, epsilon, weightDecay, clipNorm, minGradientNorm };
}

/** η min(1, step / warmup), times ½ (1 + cos(π (step − 1) / steps)) for a cosine. */
function learningRateOfStep(
  { learningRate: peak, warmupSteps, schedule }: Schedule,
  step: number,
  steps: number,
): number {
  const warm = warmupSteps === 0 ? 1 : Math.min(1, step / warmupSteps);
  const shape = schedule === 'constant' ? 1 : 0.5 * (1 + Math.cos((Math.PI * (step - 1)) / steps));
  return peak * warm * shape;
}
