import { describe, expect, it } from 'vitest';
import { turnsTrajectory } from '../algorithms/step.testing.ts';
import { Clock, noTime } from './clock.ts';

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

  it('counts what rollouts share once', () => {
    const clock = new Clock(noTime);
    clock.begin('grpo-1');
    const trunk = turnsTrajectory([[1, 2], [3, 4], [5]], [[50], [51]], { branch: { tree: 0, from: 0 } });
    const searches = [0, 1].map((turn) => ({ query: 'q', turn, passages: [] }));
    clock.count({ ...trunk, searches });
    clock.count({ ...trunk, searches, rollout: 1, branch: { tree: 0, from: 3 } });
    expect(clock.timing()).toMatchObject({ trajectories: 2, searches: 3, sampledTokens: 5 + 3 });
    expect(clock.timing().byStage).toMatchObject([{ stage: 'grpo-1', sampledTokens: 8 }]);
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
