import { expect, it } from 'vitest';
import { keptOutput } from '../testing/output.ts';
import { LiveArea } from '../widgets/live-area.ts';
import { WarmUpStatus } from './warmup-status.ts';

function setUp(inPlace: boolean) {
  const { clock, now, output, take } = keptOutput(inPlace);
  const environment = { TERM: 'xterm-256color', LANG: 'C.UTF-8' };
  const status = new WarmUpStatus(new LiveArea(output, inPlace, now, environment), now);
  return { clock, status, take };
}

const step = {
  kind: 'step',
  phase: 'agent',
  step: 1,
  steps: 90,
  loss: 2,
  tokensPerSecond: 16,
  secondsLeft: 9000,
} as const;

it('tells in a log how far a step is that takes minutes', () => {
  const { clock, status, take } = setUp(false);
  status.see({ kind: 'working', on: 'step 1 of 90', done: 0, of: null });
  clock.seconds = 15;
  status.draw();
  clock.seconds = 16;
  status.draw();
  clock.seconds = 60;
  status.see({ kind: 'working', on: 'step 1 of 90', done: 1, of: 3 });
  expect(take()).toBe('step 1 of 90, 0:00\nstep 1 of 90, 0:15\nstep 1 of 90: 1 of 3, 1:00, 2:00 left\n');
  clock.seconds = 180;
  status.see(step);
  expect(take()).toBe('step 1/90 agent, 1 %, 2:30:00 left, loss 2.000, 16 tokens/s\n');
  // Nothing is under way: a tick has nothing to tell.
  clock.seconds = 200;
  status.draw();
  expect(take()).toBe('');
  status.see({ kind: 'working', on: 'measuring', done: 3, of: 360 });
  clock.seconds = 260;
  status.see({ kind: 'working', on: 'measuring', done: 63, of: 360 });
  expect(take()).toBe('measuring: 3 of 360, 0:00\nmeasuring: 63 of 360, 1:00, 4:43 left\n');
});

it('draws it under the last step in a terminal', () => {
  const { clock, status, take } = setUp(true);
  status.see(step);
  take();
  status.see({ kind: 'working', on: 'step 2 of 90', done: 0, of: null });
  clock.seconds = 30;
  status.draw();
  const drawn = take();
  expect(drawn).toContain('warm-up  agent  step 1 of 90\n');
  expect(drawn).toContain('\nstep 2 of 90, 0:30\n');
});
