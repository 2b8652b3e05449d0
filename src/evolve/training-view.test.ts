/** What is kept of a step beside its rollouts: the step's own advantages, and the KL as plain arithmetic gives it. */
import { expect, it } from 'vitest';
import type { Trajectory } from '../rollout/trajectory.ts';
import { grpoRound } from './grpo-round.ts';
import { start, toyRun } from './testing/toy.ts';
import { trainingViews } from './training-view.ts';

const trajectory = {
  prompt: [1, 2],
  mask: [1, 0, 1],
  ids: [3, 4, 5],
  logprobs: [-1, 0, -0.5],
} as unknown as Trajectory;

it('keeps an advantage a response or a token, on what the policy wrote', () => {
  const view = (advantage: number | Float32Array) =>
    trainingViews([{ trajectory, advantage }], undefined).get(trajectory);
  expect(view(-0.5)).toEqual({ training: { advantage: -0.5 } });
  expect(view(Float32Array.of(1, 9, 0.25))).toEqual({ training: { advantage: [1, 0.25] } });
});

it('keeps the KL of each token that the policy wrote to three digits', () => {
  const reference = [Float32Array.of(0, 0, -1.5, 7, -0.5)];
  const recomputed = [Float32Array.of(0, 0, -1, 7, -0.25)];
  const of = (...more: Float32Array[][]) =>
    trainingViews([{ trajectory, advantage: 0 }], reference, ...more).get(trajectory)!.training.kl;
  // Δ = −0.5: e^−0.5 + 0.5 − 1; Δ = 0.
  expect(of()).toEqual([0.107, 0]);
  // Δ = −0.5 and −0.25.
  expect(of(recomputed)).toEqual([0.107, 0.0288]);
});

it('has no KL of what was sampled under another prompt than it is trained under', () => {
  const hinted = { ...trajectory, plainPrompt: [1] };
  const views = trainingViews([{ trajectory: hinted, advantage: 0.5 }], [new Float32Array(4)]);
  expect(views.get(hinted)).toEqual({ training: { advantage: 0.5 } });
});

it('stands in the shards of a round, beside question, gold answers and text', async () => {
  const toy = toyRun({
    says: (_, __, ___, luck) => (luck < 0.5 ? '<answer> gold </answer>' : '<answer> lead </answer>'),
  });
  const stage = { name: 'grpo-1', cycle: 1, from: 'base' };
  await grpoRound(toy.run, stage, start);
  const shard = (await toy.journal.readTrajectories('grpo-1-step-0001'))!;
  const groups = Map.groupBy(shard, ({ questionId }) => questionId);
  expect(groups.size).toBeGreaterThan(1);
  for (const group of groups.values()) {
    const rewards = group.map(({ reward }) => reward);
    const mean = rewards.reduce((sum, r) => sum + r, 0) / rewards.length;
    const deviation = Math.sqrt(rewards.reduce((sum, r) => sum + (r - mean) ** 2, 0) / (rewards.length - 1));
    for (const { reward, training, question, gold, text } of group) {
      expect(training!.advantage).toBeCloseTo((reward - mean) / (deviation + 1e-6), 9);
      expect(gold).toEqual(['gold']);
      expect(text!.prompt).toContain(question!);
      expect(text!.response).toEqual([reward === 1 ? '<answer> gold </answer>' : '<answer> lead </answer>']);
    }
  }
  // The held-out questions, which choose the step that is kept, are there to be looked at too.
  expect(await toy.journal.readTrajectories('grpo-1-held-out-step-0000')).toHaveLength(
    2 * toy.run.settings.guards.heldOutQuestions,
  );
});
