/** Rotary positions: the cosines and sines of position x θ_i. */
import type { ModelConfig } from './parameters.ts';

export interface RotaryAngles {
  /** [positions, headSize / 2] */
  readonly cosine: Float32Array;
  readonly sine: Float32Array;
}

/** The table of positions 0 to `positions` − 1. */
export function rotaryAngles(config: ModelConfig, positions: number): RotaryAngles {
  const frequencies = rotaryFrequencies(config);
  const half = frequencies.length;
  const cosine = new Float32Array(positions * half);
  const sine = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i]!;
      cosine[position * half + i] = Math.cos(angle);
      sine[position * half + i] = Math.sin(angle);
    }
  }
  return { cosine, sine };
}

/**
 * θ_i in radians a position, i < headSize / 2: ropeTheta^(−2i / headSize), scaled as the configuration says.
 *
 * Llama 3 (transformers' `rope_type: "llama3"`) divides by `factor` what turns fewer than `lowFrequencyFactor` times in
 * the original context, leaves alone what turns more than `highFrequencyFactor` times, and blends linearly between the two.
 */
export function rotaryFrequencies({ headSize, ropeTheta, ropeScaling }: ModelConfig): number[] {
  const half = headSize / 2;
  const scaled = (frequency: number): number => {
    if (!ropeScaling) return frequency;
    if (ropeScaling.type === 'linear') return frequency / ropeScaling.factor;
    const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContextLength } = ropeScaling;
    const turns = (originalContextLength * frequency) / (2 * Math.PI);
    const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return kept * frequency + (1 - kept) * (frequency / factor);
  };
  return Array.from({ length: half }, (_, i) => scaled(ropeTheta ** (-i / half)));
}
