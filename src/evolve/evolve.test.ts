/** The whole loop over a policy without an engine: stages in order, checkpoints, and the same end after any interruption. */
import { describe, expect, it } from 'vitest';
import { question } from '../rollout/testing/environment.ts';
import { evolve } from './evolve.ts';
import type { EvolveEvent } from './journal.ts';
import { presets } from './presets.ts';
import { Cancelled } from './run.ts';
import { methods, type Settings } from './settings.ts';
import { BASE } from './stage.ts';
import { keptBy, planStages } from './stages.ts';
import { toyRun, UNTRAINED } from './testing/toy.ts';

const search = '<think> find </think> <search> x </search>';
const right = '<think> done </think> <answer> gold </answer>';
const wrong = '<think> done </think> <answer> tin </answer>';
/** The more it was trained, the more often it is right, and the less it searches. */
const says = (weight: number, context: string, _: number, luck: number) => {
  if (!context.includes('</search>') && luck > 0.1 * weight + 0.2) return search;
  return luck * 7 - Math.floor(luck * 7) < 0.4 + 0.05 * weight ? right : wrong;
};
const { smoke } = presets;
const small: Settings = {
  ...smoke,
  cycles: 2,
  checkpointEvery: 2,
  grpo: { ...smoke.grpo, steps: [3, 2], questionsPerStep: 4, groupSize: 3 },
  pool: { ...smoke.pool, questions: 8 },
  gate: { ...smoke.gate, questions: 4 },
  distill: { ...smoke.distill, pairsPerStep: 3, maxSteps: 3 },
  sft: { ...smoke.sft, sequencesPerStep: 6, maxSteps: 3 },
  evaluation: { ...smoke.evaluation, questions: 3 },
  guards: { ...smoke.guards, heldOutQuestions: 3, every: 2, maxZeroVariance: 1 },
};
const suites = [{ name: 'nq', questions: [0, 1, 2].map((i) => question(`nq${i}`)) }];

function fresh(settings: Settings) {
  const toy = toyRun({ says, suites, settings });
  // A run of its own, which has kept nothing yet.
  toy.journal.kept.clear();
  const { setup } = toy.run;
  return { ...toy, sit: (options: Parameters<typeof evolve>[3] = {}) => evolve(setup, settings, toy.journal, options) };
}

/** All that a run leaves behind. */
function left({ journal, losses, weight }: ReturnType<typeof fresh>) {
  const { kept, metrics, pairs, trajectories } = journal;
  return { kept, metrics, pairs, trajectories, weight: weight(), trained: losses.length };
}

/** Every method, and what the systems of the field add to how rollouts are made. */
const runs: readonly (readonly [string, Settings])[] = [
  ...methods.map((method) => [method, { ...small, method }] as const),
  [
    'grpo over trees',
    {
      ...small,
      ...{ method: 'grpo', cycles: 1 },
      grpo: { ...small.grpo, groupSize: 4, tree: { trees: 2, expansions: 2, rounds: 1 }, advantage: { form: 'tree' } },
    },
  ],
  [
    'grpo with hints',
    {
      ...small,
      ...{ method: 'grpo', cycles: 1 },
      grpo: { ...small.grpo, groupSize: 4, hint: { sees: 'gold-answer', share: 0.5 } },
    },
  ],
];

describe.each(runs)('a run by %s', (_, settings) => {
  const plan = planStages(settings);

  it('goes through its stages, measures and keeps what they say, and tells how far it is', async () => {
    const toy = fresh(settings);
    const events: EvolveEvent[] = [];
    const { results, timing } = await toy.sit({ onEvent: (event) => events.push(event) });
    const seen = events.flatMap((event) => (event.kind === 'stage' ? [event.stage] : []));
    expect(seen).toEqual(plan.map(({ name }) => name));
    const measured = plan.flatMap((stage) => (stage.kind === 'evaluate' ? [stage.of] : []));
    expect([...new Set(results.measurements.map(({ stage }) => stage))]).toEqual(measured);
    expect(results.outcomes.map(({ stage }) => stage)).toEqual(measured.filter((stage) => stage !== BASE));
    expect(results.outcomes.every(({ steps }) => steps > 0)).toBe(true);
    expect(new Set(toy.journal.kept.keys())).toEqual(new Set([BASE, ...plan.flatMap((s) => keptBy(s, settings))]));
    expect(toy.journal.kept.get(BASE)).toEqual(UNTRAINED);
    expect(timing.byStage.map(({ stage }) => stage)).toEqual(seen);

    const fractions = events.flatMap((event) => (event.kind === 'progress' ? [event.fraction] : []));
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions[0]).toBe(0);
    expect(fractions.every((fraction) => fraction <= 1)).toBe(true);
  });

  it('ends the same whenever it is broken off, right after a checkpoint or right before', async () => {
    const whole = fresh(settings);
    const { results } = await whole.sit();
    const expected = left(whole);
    const checkpoints = whole.journal.states.length;
    for (let n = 0; n < checkpoints; n++)
      for (const last of ['kept', 'lost'] as const) {
        const toy = fresh(settings);
        const checkpoint = toy.journal.checkpoint.bind(toy.journal);
        let more = n;
        toy.journal.checkpoint = async (...args) => {
          const isLast = more-- === 0;
          if (!isLast || last === 'kept') await checkpoint(...args);
          if (isLast) throw new Error('killed');
        };
        await expect(toy.sit()).rejects.toThrow('killed');
        toy.journal.checkpoint = checkpoint;
        const ended = await toy.sit();
        expect(ended.results).toEqual(results);
        // Steps that were lost are trained again; all else is the same.
        expect({ ...left(toy), trained: 0 }).toEqual({ ...expected, trained: 0 });
      }
  });

  it('stops before a stage, and goes on from there', async () => {
    const whole = fresh(settings);
    const { results } = await whole.sit();
    for (const { name } of plan.slice(1)) {
      const toy = fresh(settings);
      const before = await toy.sit({ before: name });
      const names = plan.map((stage) => stage.name);
      expect(before.timing.byStage.map(({ stage }) => stage)).toEqual(names.slice(0, names.indexOf(name)));
      expect((await toy.sit()).results).toEqual(results);
      expect(left(toy)).toEqual(left(whole));
    }
  });
});

it('a run that is interrupted says so, and what it checkpointed is continued', async () => {
  const whole = fresh(small);
  const { results } = await whole.sit();
  const toy = fresh(small);
  const controller = new AbortController();
  const onEvent = (event: EvolveEvent) => {
    if (event.kind === 'step' && event.stage === 'e1-1') controller.abort();
  };
  await expect(toy.sit({ onEvent, signal: controller.signal })).rejects.toThrow(Cancelled);
  expect((await toy.sit()).results).toEqual(results);
  expect({ ...left(toy), trained: 0 }).toEqual({ ...left(whole), trained: 0 });
});

it('a run that has ended is not run again', async () => {
  const toy = fresh(small);
  const { results } = await toy.sit();
  const [asked, trained] = [toy.asked(), toy.losses.length];
  expect((await toy.sit()).results).toEqual(results);
  expect([toy.asked(), toy.losses.length]).toEqual([asked, trained]);
});

it('a run of no cycle measures its base', async () => {
  const toy = fresh({ ...small, cycles: 0 });
  const { results } = await toy.sit();
  expect(results).toMatchObject({ outcomes: [], pools: [], gates: [] });
  expect(new Set(results.measurements.map(({ stage }) => stage))).toEqual(new Set([BASE]));
  expect(toy.losses).toEqual([]);
});

it('a distillation that keeps its best weights is taken up again at any checkpoint, adapter and all', async () => {
  const settings: Settings = { ...small, cycles: 1, checkpointEvery: 1, distill: { ...small.distill, keep: 'best' } };
  const guards = { ...small.guards, every: 1 };
  const whole = fresh({ ...settings, guards });
  const { results } = await whole.sit();
  expect(whole.journal.kept.has('e1-1-best')).toBe(true);
  const heldOut = whole.journal.metrics.filter(({ stage }) => stage === 'e1-1-held-out');
  // Plainly: the last of the highest.
  const scores = heldOut.map(({ exactMatch }) => exactMatch as number);
  const keptStep = scores.lastIndexOf(Math.max(...scores));
  expect(results.outcomes.at(-1)).toMatchObject({ stage: 'e1-1', steps: 3, keptStep });
  expect(whole.hasAdapter()).toBe(false);
  for (let n = 0; n < whole.journal.states.length; n++) {
    const toy = fresh({ ...settings, guards });
    const checkpoint = toy.journal.checkpoint.bind(toy.journal);
    let more = n;
    toy.journal.checkpoint = async (...args) => {
      await checkpoint(...args);
      if (more-- === 0) throw new Error('killed');
    };
    await expect(toy.sit()).rejects.toThrow('killed');
    toy.journal.checkpoint = checkpoint;
    expect((await toy.sit()).results).toEqual(results);
    expect({ ...left(toy), trained: 0 }).toEqual({ ...left(whole), trained: 0 });
  }
});
