/**
 * AdamW (Loshchilov and Hutter, 2019) on flat arrays, with clipping by the global norm. Each of several threads does a slice;
 * how many there are changes no bit.
 */

import { type SharedFloats, sharedFloats } from '../../../onnx/shared-floats.ts';
import type { AdamWStep, StepResult } from '../../../policy/policy.ts';

/** Running means of the gradient and of its square; `steps` counts the updates that they have seen. */
export interface Moments {
  readonly first: Float32Array;
  readonly second: Float32Array;
  steps: number;
}

export interface SharedMoments extends Moments {
  readonly first: SharedFloats;
  readonly second: SharedFloats;
}

export function freshMoments(size: number): SharedMoments {
  return { first: sharedFloats(size), second: sharedFloats(size), steps: 0 };
}

/** Arrays of equal length, or the same part of each. */
export interface Slice {
  readonly weights: SharedFloats;
  readonly gradient: SharedFloats;
  readonly first: SharedFloats;
  readonly second: SharedFloats;
}

/** What an update is made of, the same for every element. */
export interface Coefficients extends Pick<AdamWStep, 'beta1' | 'beta2' | 'epsilon'> {
  /** On the gradient, so that its norm is at most the limit. */
  readonly scale: number;
  /** 1 − η λ */
  readonly keep: number;
  /** η / (1 − β₁ᵗ) */
  readonly rate: number;
  /** 1 / (1 − β₂ᵗ) */
  readonly correction: number;
}

/** A thread that does its share of a step. */
export interface Shard {
  /** Σ g² of each chunk. */
  squares(gradient: SharedFloats): Promise<Float64Array>;
  update(slice: Slice, coefficients: Coefficients): Promise<void>;
}

/** Elements whose squares are summed together. Slices end where these do. */
const CHUNK = 2 ** 16;

/** Elements for which it pays to wake another thread: some milliseconds of work. */
const ELEMENTS_A_HAND = 2 ** 20;

/** How many of so many threads should do a step. */
export function shardsFor(elements: number, threads: number): number {
  return Math.max(1, Math.min(threads, Math.floor(elements / ELEMENTS_A_HAND)));
}

/**
 * One step on `weights` and `moments` in place. A gradient below `minGradientNorm` changes nothing at all.
 * @param shards this thread's own last, since the others wait for it to send them their part
 */
export async function adamwStep(
  weights: SharedFloats,
  gradient: SharedFloats,
  moments: SharedMoments,
  settings: AdamWStep,
  shards: readonly Shard[],
): Promise<StepResult> {
  const slices = cut({ weights, gradient, first: moments.first, second: moments.second }, shards.length);
  const squares = await Promise.all(slices.map((slice, i) => shards[i]!.squares(slice.gradient)));
  const gradientNorm = Math.sqrt(squares.flatMap((sums) => [...sums]).reduce((total, sum) => total + sum, 0));
  if (gradientNorm < settings.minGradientNorm) return { gradientNorm, skipped: true };

  moments.steps += 1;
  const coefficients = coefficientsOf(settings, moments.steps, gradientNorm);
  await Promise.all(slices.map((slice, i) => shards[i]!.update(slice, coefficients)));
  return { gradientNorm, skipped: false };
}

/** Of update t, 1 for the first, on a gradient of that norm. */
export function coefficientsOf(settings: AdamWStep, t: number, gradientNorm: number): Coefficients {
  const { beta1, beta2, epsilon, learningRate, weightDecay, clipNorm } = settings;
  return {
    beta1,
    beta2,
    epsilon,
    scale: gradientNorm > clipNorm ? clipNorm / gradientNorm : 1,
    keep: 1 - learningRate * weightDecay,
    rate: learningRate / (1 - beta1 ** t),
    correction: 1 / (1 - beta2 ** t),
  };
}

/** This thread. */
export const ownShard: Shard = {
  squares: async (gradient) => squares(gradient),
  update: async (slice, coefficients) => update(slice, coefficients),
};

function update({ weights, gradient, first, second }: Slice, coefficients: Coefficients): void {
  const { beta1, beta2, epsilon, scale, keep, rate, correction } = coefficients;
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
}

/** The sum of squares of every chunk, in float64; four sums side by side, since each addition waits for the one before it. */
function squares(values: Float32Array): Float64Array {
  const sums = new Float64Array(Math.ceil(values.length / CHUNK));
  for (let chunk = 0; chunk < sums.length; chunk++) {
    const end = Math.min((chunk + 1) * CHUNK, values.length);
    const whole = end - ((end - chunk * CHUNK) % 4);
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = chunk * CHUNK; i < whole; i += 4) {
      a += values[i]! * values[i]!;
      b += values[i + 1]! * values[i + 1]!;
      c += values[i + 2]! * values[i + 2]!;
      d += values[i + 3]! * values[i + 3]!;
    }
    for (let i = whole; i < end; i++) a += values[i]! * values[i]!;
    sums[chunk] = a + b + c + d;
  }
  return sums;
}

/** Parts of whole chunks, as equal as can be. */
function cut({ weights, gradient, first, second }: Slice, parts: number): Slice[] {
  const chunks = Math.ceil(weights.length / CHUNK);
  return Array.from({ length: parts }, (_, i) => {
    const [from, to] = [i, i + 1].map((part) => CHUNK * Math.ceil((part * chunks) / parts));
    const part = (values: SharedFloats) => values.subarray(from, to);
    return { weights: part(weights), gradient: part(gradient), first: part(first), second: part(second) };
  });
}
