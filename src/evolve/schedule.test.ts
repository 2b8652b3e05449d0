import { describe, expect, it } from 'vitest';
import { presets } from './presets.ts';
import { adamWOfStep } from './schedule.ts';

describe('adamWOfStep', () => {
  it('warms up linearly to the peak and stays there', () => {
    const settings = { ...presets.default.grpo, learningRate: 1, warmupSteps: 4 };
    expect([1, 2, 4, 5, 99].map((step) => adamWOfStep(settings, step, 99).learningRate)).toEqual([0.25, 0.5, 1, 1, 1]);
    expect(adamWOfStep({ ...settings, warmupSteps: 0 }, 1, 99).learningRate).toBe(1);
  });

  it('falls by a cosine from the first step towards zero after the last one', () => {
    const settings = { ...presets.default.grpo, learningRate: 2, warmupSteps: 0, schedule: 'cosine' as const };
    const rates = [1, 3, 5].map((step) => adamWOfStep(settings, step, 8).learningRate);
    for (const [i, rate] of [2, 1 + Math.SQRT1_2, 1].entries()) expect(rates[i]).toBeCloseTo(rate, 12);
    expect(adamWOfStep({ ...settings, warmupSteps: 2 }, 1, 8).learningRate).toBe(1);
  });
});
