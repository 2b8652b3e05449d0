/** Rotary positions: the cosines and sines of position x θ_i, θ_i = ropeTheta^(−2i / headSize). */
import type { ModelConfig } from './parameters.ts';

export interface RotaryAngles {
  /** [positions, headSize / 2] */
  readonly cosine: Float32Array;
  readonly sine: Float32Array;
}

/** The table of positions 0 to `positions` − 1. */
export function rotaryAngles({ headSize, ropeTheta }: ModelConfig, positions: number): RotaryAngles {
  const half = headSize / 2;
  const cosine = new Float32Array(positions * half);
  const sine = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * ropeTheta ** (-i / half);
      cosine[position * half + i] = Math.cos(angle);
      sine[position * half + i] = Math.sin(angle);
    }
  }
  return { cosine, sine };
}
