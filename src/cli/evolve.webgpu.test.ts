/**
 * A whole run on the GPU, interrupted and continued there, beside the same run on the processor. What is sampled on a GPU may differ in its last
 * bits, so that another token may be drawn once in some hundred thousand: with these few the same ones are.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const command = fileURLToPath(new URL('../../bin/search-e1.js', import.meta.url));

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

/** Runs `search-e1 evolve`; sends it Ctrl-C when `until` was printed. */
function evolve(args: readonly string[], until?: string): Promise<{ code: number | null; err: string }> {
  const child = spawn(process.execPath, [command, 'evolve', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let [err, waits] = ['', until !== undefined];
  child.stderr.on('data', (data) => {
    err += String(data);
    if (!waits || !err.includes(until!)) return;
    waits = false;
    child.kill('SIGINT');
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, err })));
}

const begin = (device: string) => [
  ...['--preset', 'smoke', '--config', path.join(folder, 'small.json')],
  ...['--device', device, '--threads', '1', '--out', path.join(folder, device)],
];

interface Line {
  readonly stage: string;
  readonly step: number;
  readonly [metric: string]: unknown;
}

async function metricsOf(device: string): Promise<Line[]> {
  const text = await readFile(path.join(folder, device, 'metrics.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

it('goes through the stages of a run on the processor, with its rewards, loss and gradient', async () => {
  expect((await evolve(begin('cpu'))).code).toBe(0);
  const interrupted = await evolve(begin('webgpu'), 'stage 2/7');
  expect(interrupted.code, interrupted.err).toBe(130);
  const continued = await evolve(['--resume', path.join(folder, 'webgpu')]);
  expect(continued.code, continued.err).toBe(0);

  const [there, here] = [await metricsOf('webgpu'), await metricsOf('cpu')];
  const named = (lines: readonly Line[]) => lines.map(({ stage, step }) => `${stage} ${step}`);
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
