/** The training baselines over a policy without an engine: what they learn from, and that they continue where they stopped. */
import { describe, expect, it } from 'vitest';
import { rollOutPool } from './pool.ts';
import { presets } from './presets.ts';
import { type Settings, settingsSchema } from './settings.ts';
import { sftRound } from './sft-round.ts';
import { planStages } from './stages.ts';
import { start, toyRun } from './testing/toy.ts';

const right = '<think> done </think> <answer> gold </answer>';
const wrong = '<think> done </think> <answer> tin </answer>';
const { smoke } = presets;
const settings: Partial<Settings> = {
  pool: { ...smoke.pool, questions: 4, rollouts: 2 },
  sft: { ...smoke.sft, epochs: 2, sequencesPerStep: 3, maxSteps: 0 },
};
const onAnswers = { kind: 'sft', name: 'sft-1', cycle: 1, from: 'base', on: 'answers' } as const;
const onCorrect = { kind: 'sft', name: 'rejection-1', cycle: 1, from: 'base', on: 'correct-trajectories' } as const;

describe('plans of the baselines', () => {
  const names = (method: Settings['method'], cycles: number) => planStages({ method, cycles }).map(({ name }) => name);

  it('train and evaluate what each method needs', () => {
    expect(names('grpo', 2)).toEqual(['evaluate-base', 'grpo-1', 'evaluate-grpo-1', 'grpo-2', 'evaluate-grpo-2']);
    expect(names('rejection-sampling', 1)).toEqual(['evaluate-base', 'pool-1', 'rejection-1', 'evaluate-rejection-1']);
    expect(names('sft', 2)).toEqual(['evaluate-base', 'sft-1', 'evaluate-sft-1']);
    expect(names('sft', 0)).toEqual(['evaluate-base']);
  });

  it('read the settings of runs that were recorded before there was a choice', () => {
    const { method: _, sft: __, ...old } = presets.default;
    expect(settingsSchema.parse(old)).toMatchObject({ method: 'search-e1', sft: presets.default.sft });
  });
});

describe('a supervised round', () => {
  it('learns the correct trajectories of the pool, every one once an epoch', async () => {
    // Two rollouts a question, of which the second is wrong.
    const toy = toyRun({ says: (_, __, draw) => (draw % 2 === 0 ? right : wrong), settings });
    await rollOutPool(toy.run, { name: 'pool-1', cycle: 1 }, start);
    const { results } = await sftRound(toy.run, onCorrect, start);
    expect(results.outcomes).toEqual([{ stage: 'rejection-1', steps: 4, stoppedBy: 'steps', keptStep: 4 }]);
    const sizes = toy.losses.map((batch) => (batch.loss === 'cross-entropy' ? batch.sequences.length : -1));
    expect(sizes).toEqual([3, 1, 3, 1]);
    const prompts = toy.losses.flatMap((batch) =>
      batch.loss === 'cross-entropy' ? batch.sequences.map(({ ids }) => JSON.stringify(ids)) : [],
    );
    expect(new Set(prompts).size).toBe(4);
    expect(toy.weight()).toBe(4);
  });

  it('learns the gold answers of the training questions', async () => {
    const toy = toyRun({ says: () => wrong, settings });
    const { results } = await sftRound(toy.run, onAnswers, start);
    const questions = toy.run.slices.training.length;
    expect(results.outcomes[0]).toMatchObject({ steps: 2 * Math.ceil(questions / 3), stoppedBy: 'steps' });
    const [batch] = toy.losses;
    const { ids, weights } = batch!.loss === 'cross-entropy' ? batch!.sequences[0]! : { ids: [], weights: [] };
    const learned = ids.filter((_, t) => weights[t] === 1);
    expect(toy.run.setup.tokenizer.decode(learned)).toContain('<answer> gold </answer>');
  });

  it('takes the same batches when it is continued', async () => {
    const whole = toyRun({ says: () => wrong, settings });
    await sftRound(whole.run, onAnswers, start);
    const rest = toyRun({ says: () => wrong, settings });
    await sftRound(rest.run, onAnswers, { ...start, step: 5 });
    expect(rest.losses).toEqual(whole.losses.slice(5));
  });

  it('is skipped when nothing is correct, and goes back at a loss that is no number', async () => {
    const toy = toyRun({ says: () => wrong, settings });
    await rollOutPool(toy.run, { name: 'pool-1', cycle: 1 }, start);
    const { results } = await sftRound(toy.run, onCorrect, start);
    expect(results.outcomes[0]).toMatchObject({ steps: 0, stoppedBy: 'no-data' });
    const broken = toyRun({ says: () => wrong, breaksAt: 2, settings });
    const ended = await sftRound(broken.run, onAnswers, start);
    expect(ended.results.outcomes[0]).toMatchObject({ steps: 2, stoppedBy: 'guard', keptStep: 0 });
    expect(broken.weight()).toBe(0);
  });
});
