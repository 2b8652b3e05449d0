/**
 * A toy run for tests of interruption: each step writes a metric and a shard, then a checkpoint; every second is kept.
 * Resuming takes up where the newest checkpoint stands. As a program (`node writer.ts FOLDER STEPS`) it waits to be killed.
 */
import { existsSync } from 'node:fs';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { RunDirectory } from '../run-directory.ts';
import { fakePolicy } from './fake-policy.ts';
import { fixtureState, fixtureTrajectory, smallConfig } from './run-fixture.ts';

/** What the weights are after a step, so that a checkpoint can be judged by itself. */
export function weightsAfter(step: number): string {
  return `weights after ${step} `.repeat(200);
}

export async function writeToyRun(folder: string, steps: number): Promise<void> {
  const fresh = !existsSync(`${folder}/config.json`);
  const run = fresh ? await RunDirectory.create(folder, smallConfig()) : await RunDirectory.open(folder);
  const policy = fakePolicy(weightsAfter(0));
  const state = await run.restoreLatest(policy);
  for (let step = (state?.step ?? 0) + 1; step <= steps; step++) {
    policy.weights = weightsAfter(step);
    await run.metric({ stage: 'grpo-1', step, reward: 1 / step });
    await run.writeTrajectories(`grpo-1-${step}`, [fixtureTrajectory('q', step)]);
    await run.checkpoint(fixtureState(0, step), policy, step % 2 === 0 ? `even-${step % 4}` : undefined);
  }
  await run.close();
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  process.stdout.write('beginning\n');
  await writeToyRun(argv[2]!, Number(argv[3]));
}
