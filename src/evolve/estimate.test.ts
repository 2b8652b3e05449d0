/** Times of the stages by amounts of work that are counted here by hand, and the disk that checkpoints take. */
import { expect, it } from 'vitest';
import { checkpointBytes, estimateRun, estimateStages, sampleSize } from './estimate.ts';
import { presets } from './presets.ts';
import type { Settings } from './settings.ts';
import { planStages } from './stages.ts';
import { toyRun } from './testing/toy.ts';

const { smoke } = presets;
const settings: Settings = {
  ...smoke,
  cycles: 1,
  grpo: { ...smoke.grpo, steps: [6], questionsPerStep: 4, groupSize: 5 },
  guards: { ...smoke.guards, heldOutQuestions: 10, every: 3 },
  pool: { ...smoke.pool, questions: 20, rollouts: 5 },
  gate: { ...smoke.gate, questions: 8 },
  evaluation: { ...smoke.evaluation, questions: 30, samples: 2, searches: [4], decoding: ['sampled', 'greedy'] },
};
const counts = { suites: [{ name: 'nq', questions: 30 }], trainingQuestions: 100 };

it('a stage takes its rollouts and its trained trajectories at the pace that was measured', () => {
  const stages = estimateStages(counts, settings, { rolloutsPerSecond: 10, trainedPerSecond: 4 });
  expect(stages.map(({ name }) => name)).toEqual(planStages(settings).map(({ name }) => name));
  const seconds = Object.fromEntries(stages.map((stage) => [stage.name, stage.seconds]));
  // 30 questions, two samples and the greedy answer.
  expect(seconds['evaluate-base']).toBeCloseTo((30 * 3) / 10, 9);
  expect(seconds['evaluate-e1-1']).toBe(seconds['evaluate-base']);
  expect(seconds['pool-1']).toBeCloseTo((20 * 5) / 10, 9);
  // 6 × 4 × 5 rollouts; ten held-out questions before the first step and after every third, a whole number of times each.
  const sampling = estimateStages(counts, settings, {
    rolloutsPerSecond: 1,
    trainedPerSecond: Number.POSITIVE_INFINITY,
  });
  const rollouts = sampling.find(({ name }) => name === 'grpo-1')!.seconds;
  expect((rollouts - 120) % (3 * 10)).toBe(0);
  expect(rollouts).toBeGreaterThan(120);
  // Each is trained on once, and read by the reference besides.
  const trained = seconds['grpo-1']! - rollouts / 10;
  expect(trained).toBeGreaterThanOrEqual(120 / 4);
  expect(trained).toBeLessThanOrEqual((2 * 120) / 4);
});

it('twice the pace is half the time, in every stage', () => {
  const slow = estimateStages(counts, settings, { rolloutsPerSecond: 10, trainedPerSecond: 4 });
  const quick = estimateStages(counts, settings, { rolloutsPerSecond: 20, trainedPerSecond: 8 });
  for (const [i, { seconds }] of slow.entries()) expect(quick[i]!.seconds).toBeCloseTo(seconds / 2, 9);
});

it('checkpoints take weights and two moments each, and are unknown where the model’s size is', () => {
  const info = { engine: 'x', vocabulary: 10, contextLength: 10 };
  const stages = planStages(settings);
  expect(checkpointBytes({ info }, stages, settings)).toBeNull();
  const bytes = checkpointBytes({ info: { ...info, parameters: 1000 } }, stages, settings)!;
  const one = 1000 * 4 * 3;
  // The base, the best and the end of the GRPO round, the end of distillation, and the newest two.
  expect(bytes / one).toBe(1 + 2 + 1 + 2);
  const best = { ...settings, distill: { ...settings.distill, keep: 'best' as const } };
  expect(checkpointBytes({ info: { ...info, parameters: 1000 } }, planStages(best), best)! / one).toBe(7);
});

it('an engine that cannot train without a trace is not tried', async () => {
  const toy = toyRun({ says: () => '<answer> gold </answer>' });
  expect(await estimateRun(toy.run.setup, settings)).toBeNull();
  expect(toy.losses).toEqual([]);
});

it('the sample of a large model is as small as a minute wants it, and never less than four rollouts', () => {
  expect([0.1, 3.75, 8, 30, 600].map(sampleSize)).toEqual([64, 64, 30, 8, 4]);
});
