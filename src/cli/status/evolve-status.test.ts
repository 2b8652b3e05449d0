import { expect, it } from 'vitest';
import type { Policy } from '../../policy/policy.ts';
import { LiveArea } from '../widgets/live-area.ts';
import { EvolveStatus } from './evolve-status.ts';
import { meterTokens } from './token-meter.ts';
import { WarmUpStatus } from './warmup-status.ts';

function setUp() {
  const clock = { seconds: 0, tokens: 0 };
  let written = '';
  const output = {
    isTTY: false,
    write: (text: string) => {
      written += text;
    },
  };
  const now = () => clock.seconds;
  const area = new LiveArea(output, true, now);
  const take = () => {
    const text = written;
    written = '';
    return text;
  };
  return { clock, area, now, take };
}

it('tells stage, step, time left, figures and pace', () => {
  const { clock, area, now, take } = setUp();
  const status = new EvolveStatus(area, () => clock.tokens, now);
  status.draw();
  expect(take()).toBe('');
  status.see({ kind: 'stage', stage: 'grpo-1', index: 1, stages: 13 });
  expect(take()).toBe('[0:00] stage 2/13 grpo-1 (reinforcement learning), 0 %\n');

  clock.seconds = 12;
  clock.tokens = 12_000;
  status.see({ kind: 'progress', fraction: 0.257, secondsLeft: 95 });
  take();
  clock.seconds = 23;
  clock.tokens = 30_000;
  const metrics = {
    stage: 'grpo-1',
    step: 3,
    reward: 0.5,
    exactMatch: 0.5,
    searches: 2.25,
    entropy: 0.4321,
    kl: null,
    loss: -0.001,
  };
  status.see({ kind: 'step', stage: 'grpo-1', step: 3, steps: 30, metrics });
  expect(take()).toBe(
    '[0:23] stage 2/13 grpo-1 (reinforcement learning), step 3 of 30, 25 %, 1:35 left, ' +
      'reward 0.50, searches 2.25, entropy 0.432, loss -0.0010\n',
  );
  clock.seconds = 33;
  clock.tokens = 42_000;
  status.see({ kind: 'rollouts', stage: 'grpo-1', done: 8, total: 80 });
  expect(take()).toMatch(/step 3 of 30, rollouts 8 of 80, .* 1,200 tokens\/s\n$/);
  clock.seconds = 43;
  status.see({ kind: 'training', stage: 'grpo-1', done: 3, total: 12 });
  expect(take()).toContain('step 3 of 30, training 3 of 12, ');
  clock.seconds = 53;
  // A reward that is not exact match is told apart from it.
  status.see({ kind: 'step', stage: 'grpo-1', step: 3, steps: 30, metrics: { ...metrics, reward: -0.25 } });
  expect(take()).toMatch(/reward -0\.25, exact match 0\.500, searches/);

  status.see({ kind: 'note', text: 'something happened' });
  expect(take()).toBe('note: something happened\n');
  status.see({ kind: 'stage', stage: 'evaluate-grpo-1', index: 2, stages: 13 });
  expect(take()).toMatch(/stage 3\/13 evaluate-grpo-1 \(asking the questions of the suites\), 25 %/);
});

it('tells how a warm-up goes', () => {
  const { clock, area, take } = setUp();
  const status = new WarmUpStatus(area);
  status.see({ kind: 'start', parameters: 763_000, steps: 3650, resumedAt: 250 });
  expect(take()).toBe('763,000 parameters, 3650 steps, continued at step 250\n');
  const step = {
    kind: 'step',
    phase: 'reading',
    step: 730,
    steps: 3650,
    tokensPerSecond: 1234.5,
    secondsLeft: 61,
  } as const;
  status.see({ ...step, loss: 2 });
  expect(take()).toBe('step 730/3650 reading, 20 %, 1:01 left, loss 2.000, 1,235 tokens/s\n');
  clock.seconds = 20;
  status.see({ ...step, loss: 1 });
  expect(take()).toContain('loss 1.950');
});

it('counts sampled tokens of a policy with private fields', async () => {
  class Counting {
    #calls = 0;
    async sample() {
      this.#calls += 1;
      return { ids: [1, 2, 3], logprobs: [0, 0, 0], stop: 'stop' as const };
    }
    async freeze() {
      return this.#calls;
    }
  }
  const meter = meterTokens(new Counting() as unknown as Policy);
  const request = { prompt: [], maxTokens: 3, temperature: 1, stop: [], stopTokens: [], key: [0, 0] as const };
  await meter.policy.sample(request);
  await meter.policy.sample(request);
  expect(meter.tokens()).toBe(6);
  expect(await meter.policy.freeze()).toBe(2);
});
