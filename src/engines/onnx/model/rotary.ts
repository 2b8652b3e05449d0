/** Rotary positions: the cosines and sines of position x θ_i. */
import { rotaryFrequencies } from '../../../checkpoint/rotary-frequencies.ts';
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
