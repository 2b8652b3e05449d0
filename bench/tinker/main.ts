/**
 * `npm run bench:tinker [-- --steps 3 --scale 1 --questions 64]`: what the client of a training server costs. GRPO steps of 64 questions x 5
 * rollouts x 4 turns, the run directory's files included, against a server of made-up answers and real delays (server.ts). Scale 0
 * takes the delays away, to see memory over many steps.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { BASE_POLICY } from '../../src/checkpoint/base-policy.ts';
import { loadTokenizer } from '../../src/checkpoint/tokenizer.ts';
import { openTinkerPolicy } from '../../src/engines/tinker/open-policy.ts';
import { evolve } from '../../src/evolve/evolve.ts';
import type { EvolveEvent } from '../../src/evolve/journal.ts';
import { presets } from '../../src/evolve/presets.ts';
import type { Settings } from '../../src/evolve/settings.ts';
import { worldTemplate } from '../../src/protocol/templates.ts';
import { Bm25Index } from '../../src/retrieval/bm25.ts';
import { RunDirectory } from '../../src/runs/run-directory.ts';
import { smallConfig } from '../../src/runs/testing/run-fixture.ts';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
    questions: { type: 'string', default: '64' },
  },
});
const [steps, questionsPerStep] = [Number(values.steps), Number(values.questions)];

const server = spawn(process.execPath, [path.join(import.meta.dirname, 'server.ts'), values.scale], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const port = await new Promise<string>((resolve) =>
  createInterface(server.stdout).on('line', (line) => resolve(line.replace('PORT ', ''))),
);
const folder = await mkdtemp(path.join(tmpdir(), 'bench-tinker-'));
const { smoke } = presets;
const settings: Settings = {
  ...smoke,
  method: 'grpo',
  cycles: 1,
  checkpointEvery: 10,
  rollout: {
    ...smoke.rollout,
    searches: 3,
    turnTokens: 120,
    responseTokens: 500,
    observationTokens: 200,
    contextTokens: 2000,
    concurrency: 512,
  },
  grpo: { ...smoke.grpo, steps: [steps], questionsPerStep, groupSize: 5, klCoefficient: 0.001 },
  evaluation: { ...smoke.evaluation, questions: 1, searches: [3], decoding: ['sampled'] },
  // Nothing but training steps between the first and the last measurement.
  guards: { ...smoke.guards, heldOutQuestions: 1, every: steps, maxZeroVariance: 1, minWellFormed: 0 },
};
const tokenizer = await loadTokenizer(BASE_POLICY);
const policy = await openTinkerPolicy({
  url: `http://127.0.0.1:${port}`,
  key: undefined,
  profile: 'openrl',
  baseModel: 'made-up',
  loraRank: 32,
  seed: 1,
  contextLength: 4096,
  pieces: tokenizer.pieces,
  concurrency: 256,
});
const passages = Array.from({ length: 200 }, (_, i) => ({
  id: `p${i}`,
  title: 'book',
  text: 'capital author spouse '.repeat(20),
}));
const question = (id: string) => ({
  id,
  question: 'what is the capital ?',
  answers: ['author'],
  dataset: 'bench',
  hops: 1,
});
const setup = {
  policy,
  tokenizer,
  template: worldTemplate,
  retriever: new Bm25Index(passages, { analyzer: 'words' }),
  trainingQuestions: Array.from({ length: questionsPerStep + 30 }, (_, i) => question(`q${i}`)),
  suites: [{ name: 'bench', questions: [question('t')] }],
};
const directory = await RunDirectory.create(path.join(folder, 'run'), { ...smallConfig(), settings });

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
let last: { readonly seconds: number; readonly cpu: number } | undefined;
const shares: { readonly wall: number; readonly cpu: number }[] = [];
const memory: { readonly step: number; readonly heap: number; readonly rss: number }[] = [];
const onEvent = (event: EvolveEvent) => {
  if (event.kind !== 'step') return;
  const now = { seconds: performance.now() / 1000, cpu: cpu() };
  if (last !== undefined) shares.push({ wall: now.seconds - last.seconds, cpu: now.cpu - last.cpu });
  if (event.step === 1 || event.step % Math.max(1, Math.floor(steps / 10)) === 0) {
    globalThis.gc?.();
    const { heapUsed, rss } = process.memoryUsage();
    memory.push({ step: event.step, heap: heapUsed / 1e6, rss: rss / 1e6 });
  }
  last = { seconds: performance.now() / 1000, cpu: cpu() };
};
try {
  await evolve(setup, settings, directory, { onEvent });
} finally {
  await directory.close();
  await policy.close();
  server.kill();
  await rm(folder, { recursive: true, force: true });
}
const mean = (of: (share: (typeof shares)[number]) => number) =>
  shares.reduce((sum, share) => sum + of(share), 0) / shares.length;
const [wall, own] = [mean((share) => share.wall), mean((share) => share.cpu)];
console.log(`${questionsPerStep} questions x 5 rollouts x 4 turns, delays x ${values.scale}, ${steps} steps`);
console.log(
  `a step ${wall.toFixed(2)} s, of which the client computes ${own.toFixed(2)} s: ${((100 * own) / wall).toFixed(2)} %`,
);
for (const { step, heap, rss } of memory)
  console.log(`after step ${step}: heap ${heap.toFixed(1)} MB, resident ${rss.toFixed(0)} MB`);
