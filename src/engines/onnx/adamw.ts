/** AdamW (Loshchilov and Hutter, 2019) on flat arrays, with clipping by the global norm. */
import type { AdamWStep, StepResult } from '../../policy/policy.ts';

/** Running means of the gradient and of its square; `steps` counts the updates that they have seen. */
export interface Moments {
  readonly first: Float32Array;
  readonly second: Float32Array;
  steps: number;
}

export function freshMoments(size: number): Moments {
  return { first: new Float32Array(size), second: new Float32Array(size), steps: 0 };
}

/** One step on `weights` and `moments` in place. A gradient below `minGradientNorm` changes nothing at all. */
export function adamwStep(
  weights: Float32Array,
  gradient: Float32Array,
  moments: Moments,
  settings: AdamWStep,
): StepResult {
  const gradientNorm = norm(gradient);
  if (gradientNorm < settings.minGradientNorm) return { gradientNorm, skipped: true };

  moments.steps += 1;
  const { first, second, steps } = moments;
  const { beta1, beta2, epsilon, learningRate, weightDecay, clipNorm } = settings;
  const scale = gradientNorm > clipNorm ? clipNorm / gradientNorm : 1;
  const keep = 1 - learningRate * weightDecay;
  const rate = learningRate / (1 - beta1 ** steps);
  const correction = 1 / (1 - beta2 ** steps);
  for (let i = 0; i < weights.length; i++) {
    const g = gradient[i]! * scale;
    // m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²
    const m = beta1 * first[i]! + (1 - beta1) * g;
    const v = beta2 * second[i]! + (1 - beta2) * g * g;
    first[i] = m;
    second[i] = v;
    // w ← (1 − η λ) w − η m̂ / (√v̂ + ε)
    weights[i] = keep * weights[i]! - (rate * m) / (Math.sqrt(v * correction) + epsilon);
  }
  return { gradientNorm, skipped: false };
}

/** L2 norm, summed in float64; four sums side by side, since each addition waits for the one before it. */
export function norm(values: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = values.length - (values.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += values[i]! * values[i]!;
    b += values[i + 1]! * values[i + 1]!;
    c += values[i + 2]! * values[i + 2]!;
    d += values[i + 3]! * values[i + 3]!;
  }
  for (let i = whole; i < values.length; i++) a += values[i]! * values[i]!;
  return Math.sqrt(a + b + c + d);
}
