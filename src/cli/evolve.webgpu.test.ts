/**
 * A whole run on the GPU, interrupted and continued there, beside the same run on the processor. What is sampled on a GPU may differ in its last
 * bits, so that another token may be drawn once in some hundred thousand: with these few the same ones are.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { MetricRecord } from '../evolve/journal.ts';
import { RunFiles } from '../runs/run-files.ts';
import { runCommand } from './testing/command.ts';

/** All stages of the method, with the fewest tokens with which a group earns different rewards and the pool has pairs. */
const small = {
  seed: 2,
  cycles: 1,
  world: { hops: [1], trainingQuestions: 50 },
  // A GPU in software on a busy machine is slow.
  rollout: { searches: 1, invalidTurns: 0, turnTokens: 20, sampleSeconds: 30_000 },
  grpo: { steps: [1], questionsPerStep: 3, groupSize: 4, warmupSteps: 0 },
  pool: { questions: 5, rollouts: 4 },
  gate: { questions: 0 },
  distill: { pairsPerStep: 2, maxSteps: 1, warmupSteps: 0 },
  evaluation: { questions: 1, searches: [1], decoding: ['greedy'] },
  guards: { heldOutQuestions: 1, every: 1 },
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'evolve-webgpu-'));
  await writeFile(path.join(folder, 'small.json'), JSON.stringify(small));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const begin = (device: string) => [
  ...['evolve', '--preset', 'smoke', '--config', path.join(folder, 'small.json')],
  ...['--device', device, '--threads', '1', '--out', path.join(folder, device)],
];

const metricsOf = (device: string) => new RunFiles(path.join(folder, device)).metrics();

it('goes through the stages of a run on the processor, with its rewards, loss and gradient', async () => {
  expect((await runCommand(begin('cpu'))).code).toBe(0);
  const interrupted = await runCommand(begin('webgpu'), { when: 'stage 2/7', after: 0, signal: 'SIGINT' });
  expect(interrupted.code, interrupted.err).toBe(130);
  const continued = await runCommand(['evolve', '--resume', path.join(folder, 'webgpu')]);
  expect(continued.code, continued.err).toBe(0);

  const [there, here] = [await metricsOf('webgpu'), await metricsOf('cpu')];
  const named = (lines: readonly MetricRecord[]) => lines.map(({ stage, step }) => `${stage} ${step}`);
  expect(named(there)).toEqual(named(here));
  for (const trained of ['grpo-1', 'e1-1'])
    expect(
      there.find(({ stage }) => stage === trained),
      trained,
    ).toMatchObject({ skipped: 0 });
  for (const [i, line] of here.entries())
    for (const [metric, value] of Object.entries(line))
      if (typeof value === 'number')
        expect(Math.abs((there[i]![metric] as number) - value), `${line.stage}: ${metric}`).toBeLessThan(1e-4);
}, 1_800_000);
