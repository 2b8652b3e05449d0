import { expect, it } from 'vitest';
import { Clock, noTime } from './clock.ts';
import { Cancelled, Run } from './run.ts';
import { toyRun } from './testing/toy.ts';

it('training that an interruption stops ends as Cancelled; other errors are passed on', async () => {
  const { setup, settings, slices, journal } = toyRun({ says: () => '' }).run;
  const controller = new AbortController();
  const { signal } = controller;
  const run = new Run({ setup, settings, slices, journal, clock: new Clock(noTime), emit: () => {}, signal });
  await expect(run.training([], () => Promise.reject(new Error('x')))).rejects.toThrow('x');
  controller.abort(new Error('stopped by SIGINT'));
  await expect(run.training([], async ({ signal }) => signal!.throwIfAborted())).rejects.toThrow(Cancelled);
});
