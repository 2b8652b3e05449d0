/** The angles of rotary positions. Apart from rope.ts, which reads them from files: the engine's threads load no more than they run. */
import type { RopeScaling } from './rope.ts';

/**
 * θ_i in radians a position, i < headSize / 2: ropeTheta^(−2i / headSize), scaled as the configuration says.
 *
 * Llama 3 (transformers' `rope_type: "llama3"`) divides by `factor` what turns fewer than `lowFrequencyFactor` times in
 * the original context, leaves alone what turns more than `highFrequencyFactor` times, and blends linearly between the two.
 */
export function rotaryFrequencies({
  headSize,
  ropeTheta,
  ropeScaling,
}: {
  readonly headSize: number;
  readonly ropeTheta: number;
  readonly ropeScaling?: RopeScaling;
}): number[] {
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
