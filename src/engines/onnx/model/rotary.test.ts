import { describe, expect, it } from 'vitest';
import { rotaryFrequencies } from '../../../checkpoint/rotary-frequencies.ts';
import { referenceFrequencies } from '../training/reference.testing.ts';
import type { ModelConfig } from './parameters.ts';
import { rotaryAngles } from './rotary.ts';

/** Llama 3.2 1B. */
const config: ModelConfig = {
  family: 'llama',
  vocabulary: 128_256,
  hidden: 2048,
  layers: 16,
  heads: 32,
  keyValueHeads: 8,
  headSize: 64,
  intermediate: 8192,
  ropeTheta: 500_000,
  ropeScaling: {
    type: 'llama3',
    factor: 32,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalContextLength: 8192,
  },
  rmsEpsilon: 1e-5,
  tiedHead: true,
  contextLength: 131_072,
};

describe('rotaryFrequencies', () => {
  it("agrees with Llama's published form, by wavelengths, and meets all three of its cases", () => {
    const found = rotaryFrequencies(config);
    const plain = Array.from({ length: 32 }, (_, i) => 500_000 ** (-i / 32));
    for (const [i, truth] of referenceFrequencies(config).entries()) expect(found[i]! / truth).toBeCloseTo(1, 12);
    const kept = found.filter((frequency, i) => frequency === plain[i]);
    const divided = found.filter((frequency, i) => Math.abs((frequency / plain[i]!) * 32 - 1) < 1e-12);
    // Wavelengths below 2048 stay, above 8192 they grow; 2π 500,000^(i/32) is 1,697 at i = 14, 2,557 at 15, 8,745 at 18.
    expect([kept.length, 32 - kept.length - divided.length, divided.length]).toEqual([15, 3, 14]);
  });

  it('divides by the factor where the scaling is linear', () => {
    const linear = rotaryFrequencies({ ...config, ropeScaling: { type: 'linear', factor: 4 } });
    const { ropeScaling: _, ...unscaled } = config;
    expect(linear).toEqual(rotaryFrequencies(unscaled).map((frequency) => frequency / 4));
  });
});

it('tabulates the angles of every position', () => {
  const { cosine, sine } = rotaryAngles(config, 3);
  expect(cosine.length).toBe(3 * 32);
  expect([cosine[0], sine[0]]).toEqual([1, 0]);
  const angle = 2 * rotaryFrequencies(config)[20]!;
  expect([cosine[2 * 32 + 20], sine[2 * 32 + 20]]).toEqual([
    Math.fround(Math.cos(angle)),
    Math.fround(Math.sin(angle)),
  ]);
});
