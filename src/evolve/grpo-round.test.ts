/** The place between rollouts and advantages: a form of credit may ask the policy first, and weigh token by token. */
import { expect, it, vi } from 'vitest';
import type { RolledOutStep, Weighted } from '../algorithms/grpo.ts';
import type { Policy } from '../policy/policy.ts';
import { turnsOf } from '../protocol/authors.ts';
import { valid } from '../rollout/trajectory.ts';
import { Clock, noTime } from './clock.ts';
import { grpoRound } from './grpo-round.ts';
import { presets } from './presets.ts';
import { Run } from './run.ts';
import type { Settings } from './settings.ts';
import { start, toyRun } from './testing/toy.ts';

/** As a system would: the number of the turn, plus the score of the turn's last token under the present weights. */
vi.mock('../algorithms/advantages.ts', () => ({
  async advantagesOf(_: unknown, { questions, groups, score }: RolledOutStep): Promise<Weighted[]> {
    expect(questions.map(({ id }) => id)).toEqual(groups.map((group) => group[0]!.questionId));
    const trajectories = valid(groups.flat());
    const scores = await score(trajectories.map(({ prompt, ids }) => [...prompt, ...ids]));
    return trajectories.map((trajectory, i) => {
      const advantage = new Float32Array(trajectory.ids.length);
      for (const [turn, { start, end }] of turnsOf(trajectory.mask).entries())
        advantage.fill(turn + scores[i]!.at(trajectory.prompt.length + end - 1)!, start, end);
      return { trajectory, advantage };
    });
  },
}));

it('a form of credit asks before the step is taken, and weighs token by token', async () => {
  const { smoke } = presets;
  const settings: Partial<Settings> = {
    grpo: { ...smoke.grpo, steps: [1], questionsPerStep: 3, groupSize: 2, klCoefficient: 0 },
    guards: { ...smoke.guards, heldOutQuestions: 2 },
  };
  const says = (_: number, context: string) =>
    context.includes('</search>') ? '<answer> gold </answer>' : '<search> x </search>';
  const toy = toyRun({ says, settings });
  const { setup, slices, journal, emit } = toy.run;
  const log: string[] = [];
  const policy: Policy = {
    ...setup.policy,
    logprobs: async (sequences, weights) => {
      log.push(`score ${sequences.length} under the ${weights} weights`);
      return sequences.map((ids) => new Float32Array(ids.length).fill(0.5));
    },
    train: (...args) => {
      log.push('train');
      return setup.policy.train(...args);
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

  expect(log).toEqual(['score 6 under the present weights', 'train']);
  const [batch] = toy.losses;
  if (batch?.loss !== 'policy-gradient') throw new Error('found no policy gradient');
  for (const { ids, mask, advantages } of batch.sequences) {
    const turns = turnsOf([...mask] as (0 | 1)[]);
    expect(turns).toHaveLength(2);
    for (const [turn, { start, end }] of turns.entries())
      for (let t = start; t < end; t++) expect(advantages[t]).toBe(turn + 0.5);
    expect(advantages.length).toBe(ids.length);
  }
  // What was scored is paid for: once to score, once to train.
  const tokens = batch.sequences.reduce((sum, { ids }) => sum + ids.length, 0);
  expect(clock.timing().trainedTokens).toBe(2 * tokens);
});
