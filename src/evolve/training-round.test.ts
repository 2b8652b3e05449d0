/** The round that all training stages share, over a policy without an engine: in which order it asks, and what it leaves. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LossBatch, Policy } from '../policy/policy.ts';
import { Clock, noTime } from './clock.ts';
import { presets } from './presets.ts';
import { Run } from './run.ts';
import type { Settings } from './settings.ts';
import { start, toyRun } from './testing/toy.ts';
import { heldOutRollouts, type Round, thatFit, trainingRound } from './training-round.ts';

const right = '<answer> gold </answer>';
const wrong = '<answer> tin </answer>';
const { smoke } = presets;
const stage = { name: 'e1-1', from: 'grpo-1' };
const batch: LossBatch = { loss: 'cross-entropy', sequences: [], denominator: 1 };
const adapter = { rank: 2, alpha: 4, key: [1, 2] as const };

const plain: Round = {
  steps: 3,
  optimizer: smoke.distill,
  freezes: false,
  adapter: null,
  keep: 'last',
  prepare: () => ({ read: [], batches: () => [batch], record: () => ({ metrics: {} }) }),
};

/** A run whose log tells what was asked of policy and journal, in order; the weight is the number of steps taken. */
function observed(options: {
  readonly rightAt?: readonly number[];
  readonly breaksAt?: number;
  readonly guards?: Partial<Settings['guards']>;
  readonly checkpointEvery?: number;
}) {
  const { rightAt = [], breaksAt, guards, checkpointEvery = 100 } = options;
  const toy = toyRun({
    says: (weight) => (rightAt.includes(weight) ? right : wrong),
    ...(breaksAt !== undefined && { breaksAt }),
    settings: { checkpointEvery, guards: { ...smoke.guards, heldOutQuestions: 2, every: 1, ...guards } },
  });
  const log: string[] = [];
  const controller = new AbortController();
  const { setup, settings, slices, journal } = toy.run;
  const { policy } = setup;
  const logged: Policy = {
    ...policy,
    freeze: async () => void log.push('freeze'),
    train: (...args) => {
      log.push(`train ${args[0].length}`);
      return policy.train(...args);
    },
    attachAdapter: (config) => {
      log.push('attach');
      return policy.attachAdapter(config);
    },
    mergeAdapter: () => {
      log.push('merge');
      return policy.mergeAdapter();
    },
  };
  const loggedJournal: typeof journal = {
    metric: (record) => journal.metric(record),
    writeTrajectories: (shard, trajectories) => journal.writeTrajectories(shard, trajectories),
    readTrajectories: (shard) => journal.readTrajectories(shard),
    writePairs: (shard, pairs) => journal.writePairs(shard, pairs),
    readPairs: (shard) => journal.readPairs(shard),
    writeResults: (results, timing) => journal.writeResults(results, timing),
    checkpoint: (state, policy, keep) => {
      log.push(`checkpoint ${state.step}${keep === undefined ? '' : ` as ${keep}`}`);
      return journal.checkpoint(state, policy, keep);
    },
    restoreKept: (name, policy) => {
      log.push(`restore ${name}`);
      return journal.restoreKept(name, policy);
    },
    restoreLatest: (policy) => {
      log.push('restore the newest');
      return journal.restoreLatest(policy);
    },
  };
  const run = new Run({
    settings,
    slices,
    emit: toy.run.emit,
    signal: controller.signal,
    clock: new Clock(noTime),
    setup: { ...setup, policy: logged },
    journal: loggedJournal,
  });
  return { ...toy, run, log, interrupt: () => controller.abort() };
}

describe('a training round', () => {
  it('begins at its checkpoint, trains, and leaves the last weights', async () => {
    const { run, log, weight } = observed({});
    const { results } = await trainingRound(run, stage, start, plain);
    expect(log).toEqual(['restore grpo-1', 'train 1', 'train 1', 'train 1']);
    expect(results.outcomes).toEqual([{ stage: 'e1-1', steps: 3, stoppedBy: 'steps', keptStep: 3 }]);
    expect(weight()).toBe(3);
  });

  it('freezes its start before anything else, and merges its adapter last', async () => {
    const { run, log, hasAdapter } = observed({});
    await trainingRound(run, stage, start, { ...plain, steps: 1, freezes: true, adapter });
    expect(log).toEqual(['restore grpo-1', 'freeze', 'attach', 'train 1', 'merge']);
    expect(hasAdapter()).toBe(false);
  });

  it('goes on from the newest checkpoint, frozen again at its start, with the adapter that it had', async () => {
    const { run, log } = observed({});
    await trainingRound(run, stage, { ...start, step: 2 }, { ...plain, freezes: true, adapter });
    expect(log).toEqual(['restore grpo-1', 'freeze', 'restore the newest', 'train 1', 'merge']);
    const without = observed({});
    await trainingRound(without.run, stage, { ...start, step: 2 }, plain);
    expect(without.log).toEqual(['restore the newest', 'train 1']);
  });

  it('that chooses its best weights asks first, at times, and at its end, and goes back to them', async () => {
    const { run, log, weight } = observed({ rightAt: [2], guards: { every: 2 } });
    const { results } = await trainingRound(run, stage, start, { ...plain, steps: 5, adapter, keep: 'best' });
    expect(log).toEqual([
      ...['restore grpo-1', 'attach', 'checkpoint 0 as e1-1-best', 'train 1', 'train 1', 'checkpoint 2 as e1-1-best'],
      ...['train 1', 'train 1', 'train 1', 'restore e1-1-best', 'merge'],
    ]);
    expect(results.outcomes).toEqual([{ stage: 'e1-1', steps: 5, stoppedBy: 'steps', keptStep: 2 }]);
    expect(weight()).toBe(2);
  });

  it('writes checkpoints every so many steps, but none where a new best has one', async () => {
    const { run, log } = observed({ rightAt: [2], checkpointEvery: 2, guards: { every: 2 } });
    await trainingRound(run, stage, start, { ...plain, steps: 5, keep: 'best' });
    expect(log.filter((entry) => entry.startsWith('checkpoint'))).toEqual([
      ...['checkpoint 0 as e1-1-best', 'checkpoint 2 as e1-1-best', 'checkpoint 4'],
    ]);
  });

  it('keeps the last of the steps that answered most, whichever those are', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 0, max: 6 })),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 4 }),
        async (rightAt, steps, every) => {
          const { run, weight } = observed({ rightAt, guards: { every } });
          const { results } = await trainingRound(run, stage, start, { ...plain, steps, keep: 'best' });
          // Plainly: of the steps that are asked, the last one that is right; all are wrong alike when none is.
          const asked = Array.from({ length: steps + 1 }, (_, n) => n).filter((n) => n % every === 0 || n === steps);
          const best = asked.findLast((n) => rightAt.includes(n)) ?? asked.at(-1)!;
          expect(results.outcomes[0]!.keptStep).toBe(best);
          expect(weight()).toBe(best);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('goes back to its start where a loss is no number and the last weights are kept', async () => {
    const { run, log, notes, weight, hasAdapter } = observed({ breaksAt: 2 });
    const { results } = await trainingRound(run, stage, start, { ...plain, adapter });
    expect(log).toEqual(['restore grpo-1', 'attach', 'train 1', 'train 1', 'train 1', 'restore grpo-1']);
    expect(results.outcomes[0]).toMatchObject({ steps: 2, stoppedBy: 'guard', keptStep: 0 });
    expect(results.outcomes[0]!.reason).toContain('NaN');
    expect(notes()).toEqual([expect.stringMatching(/^e1-1 stopped after step 2: .*NaN; grpo-1 is kept$/)]);
    expect([weight(), hasAdapter()]).toEqual([0, false]);
  });

  it('goes back to its best weights where it chooses them, their adapter merged', async () => {
    const { run, log, notes, weight } = observed({ rightAt: [1], breaksAt: 2 });
    const { results } = await trainingRound(run, stage, start, { ...plain, adapter, keep: 'best' });
    expect(log.slice(-3)).toEqual(['train 1', 'restore e1-1-best', 'merge']);
    expect(results.outcomes[0]).toMatchObject({ steps: 2, stoppedBy: 'guard', keptStep: 1 });
    expect(notes()[0]).toMatch(/; step 1 is kept$/);
    expect(weight()).toBe(1);
  });

  it('passes on errors that are no loss', async () => {
    const { run } = observed({});
    const prepare = () => Promise.reject(new Error('the disk is full'));
    await expect(trainingRound(run, stage, start, { ...plain, prepare })).rejects.toThrow('the disk is full');
  });

  it('trains on several batches at once, whose results it is given to record', async () => {
    const { run, log, journal } = observed({});
    const prepare: Round['prepare'] = (step) => ({
      read: [{ length: 5 }, { length: 7 }],
      batches: async () => [batch, batch],
      record: (losses) => ({ metrics: { losses: losses.length, tenfold: 10 * step } }),
    });
    await trainingRound(run, stage, start, { ...plain, steps: 2, prepare });
    expect(log).toContain('train 2');
    expect(journal.metrics).toEqual(
      [1, 2].map((step) => ({
        stage: 'e1-1',
        step,
        steps: 2,
        losses: 2,
        tenfold: 10 * step,
        gradientNorm: 1,
        skipped: 0,
      })),
    );
  });

  it('watches the health that its steps tell, over a window, and no other round', async () => {
    const ill = { entropy: 0, zeroVariance: 0, wellFormed: {} };
    const guards = { window: 2, minEntropy: 0.1 };
    const prepare = () => ({ read: [], batches: () => [batch], record: () => ({ metrics: {}, health: ill }) });
    const watched = observed({ guards });
    const { results, recent } = await trainingRound(watched.run, stage, start, { ...plain, steps: 9, prepare });
    expect(results.outcomes[0]).toMatchObject({
      steps: 2,
      stoppedBy: 'guard',
      reason: expect.stringContaining('entropy'),
    });
    expect(recent).toEqual([ill, ill]);
    // Continued, it comes to the same verdict before another step.
    const again = observed({ guards });
    await trainingRound(again.run, stage, { ...start, step: 2, recent: [ill, ill] }, { ...plain, steps: 9, prepare });
    expect(again.log).not.toContain('train 1');
  });

  it('stops between two steps when it is interrupted', async () => {
    const { run, log, interrupt } = observed({});
    const prepare: Round['prepare'] = (step) => {
      if (step === 2) interrupt();
      return plain.prepare(step);
    };
    await expect(trainingRound(run, stage, start, { ...plain, prepare })).rejects.toThrow('the run was interrupted');
    expect(log.filter((entry) => entry === 'train 1')).toHaveLength(2);
  });
});

it('the rollouts that choosing takes are those that are made', async () => {
  for (const [steps, every] of [
    [5, 2],
    [4, 2],
    [1, 3],
    [6, 1],
  ] as const) {
    const { run, asked } = observed({ guards: { every } });
    await trainingRound(run, stage, start, { ...plain, steps, keep: 'best' });
    // Every rollout is one turn.
    expect(asked()).toBe(heldOutRollouts(steps, run.settings.guards));
  }
});

it('items that the model cannot read are left out, and how many is said', () => {
  const toy = toyRun({ says: () => right, contextLength: 4 });
  const length = (n: number) => n;
  expect(thatFit(toy.run, 'e1-1', 'pairs', [3, 4, 5, 9], length, 'lower x')).toEqual([3, 4]);
  expect(toy.notes()).toEqual(["e1-1: 2 of 4 pairs left out: they exceed the model's context of 4 tokens (lower x)"]);
  expect(thatFit(toy.run, 'e1-1', 'pairs', [3, 4], length)).toEqual([3, 4]);
  expect(toy.notes()).toHaveLength(1);
});
