/** How long a probe takes: on a fast engine all of it, on a slow one no more than it has to. */
import { expect, it, vi } from 'vitest';
import type { Policy } from '../policy/policy.ts';
import { probe } from './probe.ts';

/** Takes so many milliseconds a token, whatever is asked, and keeps count. */
function timedPolicy(milliseconds: number) {
  const trained: number[] = [];
  const take = (tokens: number) => new Promise((resolve) => setTimeout(resolve, milliseconds * tokens));
  const policy = {
    info: { engine: 'timed', vocabulary: 50, contextLength: 512, parameters: 1e6 },
    capabilities: { dryRun: true },
    sample: ({ maxTokens }: { maxTokens: number }) => take(maxTokens),
    logprobs: (sequences: readonly number[][]) => take(sequences.flat().length),
    train: ([batch]: [{ sequences: readonly { ids: number[] }[] }]) => {
      const tokens = batch.sequences.flatMap(({ ids }) => ids).length;
      trained.push(tokens);
      return take(tokens);
    },
  };
  return { policy: policy as unknown as Policy, trained };
}

const limits = { concurrency: 8, contextTokens: 512 };

it('measures sixteen sequences where that is quick, and gives tokens a second', async () => {
  const { policy, trained } = timedPolicy(0.02);
  const pace = await probe(policy, limits);
  expect(trained).toEqual([256, 256, 4096, 4096]);
  // 50,000 a second, or fewer where timers are late.
  expect(pace.trainedPerSecond).toBeGreaterThan(5_000);
  expect(pace.trainedPerSecond).toBeLessThanOrEqual(51_000);
});

it('takes one sequence for an answer where sixteen would take minutes', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  const { policy, trained } = timedPolicy(10);
  const probing = probe(policy, limits);
  await vi.advanceTimersByTimeAsync(60_000);
  const pace = await probing;
  vi.useRealTimers();
  expect(trained).toEqual([256, 256]);
  expect(pace.trainedPerSecond).toBeCloseTo(100, 6);
});
