import { describe, expect, it } from 'vitest';
import { Cancelled, Clock, meanOf, noTime, optimizerStep, Run } from './run.ts';
import { presets } from './settings.ts';
import { toyRun } from './testing/toy.ts';

describe('optimizerStep', () => {
  it('warms up linearly to the peak and stays there', () => {
    const settings = { ...presets.default.grpo, learningRate: 1, warmupSteps: 4 };
    expect([1, 2, 4, 5, 99].map((step) => optimizerStep(settings, step, 99).learningRate)).toEqual([
      0.25, 0.5, 1, 1, 1,
    ]);
    expect(optimizerStep({ ...settings, warmupSteps: 0 }, 1, 99).learningRate).toBe(1);
  });

  it('falls by a cosine from the first step towards zero after the last one', () => {
    const settings = { ...presets.default.grpo, learningRate: 2, warmupSteps: 0, schedule: 'cosine' as const };
    const rates = [1, 3, 5].map((step) => optimizerStep(settings, step, 8).learningRate);
    for (const [i, rate] of [2, 1 + Math.SQRT1_2, 1].entries()) expect(rates[i]).toBeCloseTo(rate, 12);
    expect(optimizerStep({ ...settings, warmupSteps: 2 }, 1, 8).learningRate).toBe(1);
  });
});

describe('Clock', () => {
  it('adds sittings up and takes searches out of the time of rollouts', async () => {
    const before = { ...noTime, totalSeconds: 10, samplingSeconds: 4, retrievalSeconds: 1, trajectories: 7 };
    const clock = new Clock(before);
    const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    await clock.time('samplingSeconds', () => clock.time('retrievalSeconds', () => wait(30)));
    await expect(clock.time('trainingSeconds', async () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    const timing = clock.timing();
    expect(timing.retrievalSeconds).toBeGreaterThan(1.02);
    expect(timing.samplingSeconds).toBeLessThan(4.02);
    expect(timing.totalSeconds).toBeGreaterThan(10.02);
    expect(timing.trajectories).toBe(7);
    const parts = timing.samplingSeconds + timing.retrievalSeconds + timing.trainingSeconds + timing.otherSeconds;
    expect(parts).toBeCloseTo(timing.totalSeconds, 6);
  });

  it("counts what the retriever's cache answers from now on", () => {
    let cacheHits = 5;
    const retriever = { statistics: () => ({ queries: 20, cacheHits, cacheBytes: 0 }) };
    const clock = new Clock({ ...noTime, searches: 9, cachedSearches: 2 }, retriever);
    cacheHits = 8;
    expect(clock.timing().cachedSearches).toBe(5);
    expect(new Clock(noTime).timing().cachedSearches).toBe(0);
  });
});

it('training that an interruption stops ends as Cancelled; other errors are passed on', async () => {
  const { setup, settings, slices, journal } = toyRun({ says: () => '' }).run;
  const controller = new AbortController();
  const { signal } = controller;
  const run = new Run({ setup, settings, slices, journal, clock: new Clock(noTime), emit: () => {}, signal });
  await expect(run.training([], () => Promise.reject(new Error('x')))).rejects.toThrow('x');
  controller.abort(new Error('stopped by SIGINT'));
  await expect(run.training([], async ({ signal }) => signal!.throwIfAborted())).rejects.toThrow(Cancelled);
});

it('meanOf is null for nothing', () => {
  expect(meanOf([], Number)).toBeNull();
  expect(meanOf(['1', '2'], Number)).toBe(1.5);
});
