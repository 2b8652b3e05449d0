/** Evaluation over a policy without an engine: what is asked once, and what it comes to at each budget. */
import { describe, expect, it } from 'vitest';
import { question } from '../rollout/testing/environment.ts';
import { evaluateStage } from './evaluate.ts';
import { presets } from './presets.ts';
import type { Settings } from './settings.ts';
import { start, toyRun } from './testing/toy.ts';

const search = '<think> find </think> <search> x </search>';
const right = '<answer> gold </answer>';
const stage = { name: 'evaluate-grpo-1', of: 'grpo-1' };
const suites = ['nq', 'hotpotqa'].map((name, s) => ({
  name,
  questions: [0, 1, 2].map((i) => question(`${name}${i}`, `what is ${i + 2 * s} ?`)),
}));
/** Question n is answered after n searches. */
const says = (_: number, context: string) => {
  const needed = Number(/what is (\d)/.exec(context)![1]);
  return context.split('</information>').length > needed ? right : search;
};
const evaluating = (evaluation: Partial<Settings['evaluation']>) =>
  toyRun({
    says,
    suites,
    settings: { evaluation: { ...presets.smoke.evaluation, questions: 3, samples: 2, ...evaluation } },
  });

describe('evaluation', () => {
  it('measures every budget as if it had been asked alone', async () => {
    const { run } = evaluating({ searches: [4, 0, 2] });
    const { results } = await evaluateStage(run, stage, start);
    expect(results.measurements.map(({ mode }) => `${mode.decoding} ${mode.searches}`)).toEqual([
      ...['sampled 4', 'greedy 4', 'sampled 0', 'greedy 0', 'sampled 2', 'greedy 2'],
    ]);
    for (const measurement of results.measurements) {
      const { decoding, searches } = measurement.mode;
      const alone = evaluating({ searches: [searches], decoding: [decoding] });
      expect((await evaluateStage(alone.run, stage, start)).results.measurements).toEqual([measurement]);
      const shard = `grpo-1-${decoding}-${searches}`;
      expect(await run.journal.readTrajectories(shard)).toEqual(await alone.journal.readTrajectories(shard));
    }
    // Questions that need up to n searches are right with n.
    const exactMatch = (budget: number) =>
      results.measurements.find(({ mode }) => mode.searches === budget)!.mean.exactMatch!.mean;
    expect([0, 2, 4].map(exactMatch)).toEqual([1 / 6, 4 / 6, 1].map((share) => expect.closeTo(share, 12)));
  });

  it('asks a question once for all budgets', async () => {
    const many = evaluating({ searches: [4, 3, 2, 1] });
    const one = evaluating({ searches: [4] });
    await evaluateStage(many.run, stage, start);
    await evaluateStage(one.run, stage, start);
    expect(many.asked()).toBe(one.asked());
  });

  it('does not ask again after a stage that kept the weights at which it started', async () => {
    const toy = evaluating({ searches: [2] });
    const { results } = await evaluateStage(toy.run, stage, start);
    const asked = toy.asked();
    const next = { name: 'evaluate-e1-1', of: 'e1-1' };
    const ended = (steps: number) => ({ stage: 'e1-1', steps, stoppedBy: 'gate' as const, keptStep: steps });

    const skipped = { ...start, results: { ...results, outcomes: [ended(0)] } };
    const after = (await evaluateStage(toy.run, next, skipped)).results.measurements;
    expect(toy.asked()).toBe(asked);
    expect(after.slice(2)).toEqual(results.measurements.map((measurement) => ({ ...measurement, stage: 'e1-1' })));
    for (const decoding of ['sampled', 'greedy'])
      expect(await toy.journal.readTrajectories(`e1-1-${decoding}-2`)).toEqual(
        await toy.journal.readTrajectories(`grpo-1-${decoding}-2`),
      );

    const trained = { ...start, results: { ...results, outcomes: [ended(3)] } };
    await evaluateStage(toy.run, next, trained);
    expect(toy.asked()).toBe(2 * asked);
  });
});
