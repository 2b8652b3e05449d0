import { describe, expect, it } from 'vitest';
import { policyTokenCount } from '../rollout/trajectory.ts';
import { Clock, noTime } from './clock.ts';
import { grpoRound } from './grpo-round.ts';
import { furtherQuestions, sampleGroups } from './mixed-groups.ts';
import { presets } from './presets.ts';
import { Run } from './run.ts';
import type { Settings } from './settings.ts';
import { stepShard } from './shards.ts';
import { start, toyRun } from './testing/toy.ts';

const { smoke } = presets;

/** A round of one step of four questions and four rollouts; `isRight` by question and by the draw of its rollout. */
async function step(
  isRight: (question: string, luck: number) => boolean,
  grpo: Partial<Settings['grpo']> = {},
): Promise<{ toy: ReturnType<typeof toyRun>; scored: string[]; rolledOut: number }> {
  const says = (_: number, context: string, __: number, luck: number) => {
    const question = [...context.matchAll(/\bq\d+\b/g)].at(-1)?.[0] ?? '';
    return `<answer> ${isRight(question, luck) ? 'gold' : 'wrong'} </answer>`;
  };
  const settings: Partial<Settings> = {
    grpo: { ...smoke.grpo, steps: [1], questionsPerStep: 4, groupSize: 4, klCoefficient: 0, ...grpo },
    guards: { ...smoke.guards, heldOutQuestions: 1, maxZeroVariance: 1 },
  };
  const toy = toyRun({ says, settings });
  const { setup, slices, journal, emit } = toy.run;
  const scored: string[] = [];
  const policy = {
    ...setup.policy,
    logprobs: async (sequences: readonly (readonly number[])[], weights: string) => {
      scored.push(weights);
      return sequences.map((ids) => new Float32Array(ids.length));
    },
  };
  const clock = new Clock(noTime);
  const signal = new AbortController().signal;
  const run = new Run({
    setup: { ...setup, policy },
    settings: toy.run.settings,
    slices,
    journal,
    emit,
    clock,
    signal,
  });
  await grpoRound(run, { name: 'grpo-1', cycle: 1, from: 'base' }, start);
  const kept = [...toy.journal.trajectories.values()].flat();
  // What was rolled out is paid for, whether it was trained on or not; held-out rollouts are kept too.
  expect(clock.timing().sampledTokens).toBe(kept.reduce((sum, one) => sum + policyTokenCount(one), 0));
  return { toy, scored, rolledOut: toy.journal.trajectories.get(stepShard('grpo-1', 1))!.length };
}

/** The batch that the toy was trained on. */
function batchOf({ losses }: ReturnType<typeof toyRun>) {
  const [batch] = losses;
  if (batch?.loss !== 'policy-gradient') throw new Error('found no policy gradient');
  return batch;
}

const isOdd = (question: string) => Number(question.slice(1)) % 2 === 1;

describe('groups without variance', () => {
  it('are neither scored nor read where the KL coefficient is 0, and count in the mean as before', async () => {
    // Of odd questions some rollouts are right; of the others none.
    const some = (question: string, luck: number) => isOdd(question) && luck < 0.5;
    const without = await step(some);
    const whole = batchOf((await step(some, { klCoefficient: 0.001 })).toy);
    const batch = batchOf(without.toy);
    expect(without.scored).toEqual([]);
    expect(batch.denominator).toBe(whole.denominator);
    const teaching = whole.sequences.filter(({ advantages }) => advantages.some((a) => a !== 0));
    expect(teaching.length).toBeGreaterThan(0);
    expect(teaching.length).toBeLessThan(whole.sequences.length);
    expect(batch.sequences).toEqual(teaching.map(({ referenceLogprobs: _, ...sequence }) => sequence));
  });

  it('leave a step of one short sequence where there are no others', async () => {
    const batch = batchOf((await step(() => false)).toy);
    expect(batch.sequences).toHaveLength(1);
    expect([...batch.sequences[0]!.advantages]).not.toContain(Number.NaN);
    expect(batch.sequences[0]!.advantages.every((a) => a === 0)).toBe(true);
  });

  it('are left out where the KL coefficient is not 0 by the filter alone, from the mean too', async () => {
    const some = (question: string, luck: number) => isOdd(question) && luck < 0.5;
    const { toy, scored, rolledOut } = await step(some, { klCoefficient: 0.001, filter: 'mixed-groups' });
    const batch = batchOf(toy);
    expect(scored).toEqual(['frozen']);
    expect(rolledOut).toBe(16);
    expect(batch.sequences.length % 4).toBe(0);
    for (const { advantages } of batch.sequences) expect(advantages.some((a) => a !== 0)).toBe(true);
    const tokens = batch.sequences.reduce((sum, { mask }) => sum + mask.reduce((a, b) => a + b, 0), 0);
    expect(batch.denominator).toBe(tokens);
    const [metric] = toy.journal.metrics.filter((one) => 'mixedGroups' in one);
    expect(metric).toMatchObject({ mixedGroups: batch.sequences.length / 4, resampledQuestions: 0 });
    expect(metric!.zeroVariance).toBeCloseTo(1 - batch.sequences.length / 16);
  });

  it('stay where no group is mixed', async () => {
    const { toy } = await step(() => true, { klCoefficient: 0.001, filter: 'mixed-groups' });
    expect(batchOf(toy).sequences).toHaveLength(16);
  });
});

describe('dynamic sampling', () => {
  it('rolls out further questions until a step has its groups, counts them and keeps them on record', async () => {
    const some = (question: string, luck: number) => isOdd(question) && luck < 0.5;
    const { toy, rolledOut } = await step(some, { filter: 'mixed-groups', resample: 20 });
    const batch = batchOf(toy);
    expect(batch.sequences).toHaveLength(16);
    const [metric] = toy.journal.metrics.filter((one) => 'mixedGroups' in one);
    expect(metric!.mixedGroups).toBe(4);
    expect(rolledOut).toBe(4 * (4 + Number(metric!.resampledQuestions)));
  });

  it('ends after its rounds, asks no question twice, and never more than are missing', async () => {
    const questions = Array.from({ length: 12 }, (_, i) => ({
      id: `q${i}`,
      dataset: 'd',
      question: 'q',
      answers: ['a'],
    }));
    const settings = {
      seed: 1,
      grpo: { ...smoke.grpo, questionsPerStep: 4, filter: 'mixed-groups' as const, resample: 3 },
    };
    const asked: number[] = [];
    const flat = await sampleGroups(
      settings.grpo,
      questions.slice(0, 4),
      furtherQuestions(questions, settings, { stage: 'grpo-1', step: 1 }),
      async (some) => {
        asked.push(some.length);
        return some.map(() => []);
      },
    );
    expect(asked).toHaveLength(4);
    for (const count of asked) expect(count).toBeLessThanOrEqual(4);
    expect(flat.figures).toEqual({ mixedGroups: 0, resampledQuestions: flat.all.length - 4 });
    expect(new Set(flat.questions.map(({ id }) => id)).size).toBe(flat.questions.length);
  });
});
