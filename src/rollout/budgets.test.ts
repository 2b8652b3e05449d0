import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Retriever } from '../retrieval/retriever.ts';
import { budgetedTask } from './budgets.ts';
import { rollOutOne } from './rollout.ts';
import { around, findsAll, inTurns, limits, task } from './testing/environment.ts';

const turn = fc.constantFrom(
  ...['<think> find </think> <search> x </search>', '<search> lost </search>', 'hm', '<answer> gold </answer>'],
  ...['<think> unsure </think> <answer> tin </answer>', '<search> </search>'],
);
const budgets = fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { minLength: 1 });

/** Fails for one query. */
const retriever: Pick<Retriever, 'search'> = {
  search: async (queries, k) => {
    if (queries.includes('lost')) throw new Error('not found');
    return findsAll.search(queries, k);
  },
};

it('gives at every budget what a rollout with that budget gives', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(turn, { minLength: 1, maxLength: 8 }),
      budgets,
      fc.record({
        invalidTurns: fc.integer({ min: 0, max: 3 }),
        contextTokens: fc.integer({ min: 10, max: 400 }),
        responseTokens: fc.integer({ min: 5, max: 120 }),
      }),
      async (turns, wanted, changes) => {
        const own = limits(changes);
        const environment = () => around(inTurns(...turns), { retriever });
        const { task: whole, at } = budgetedTask(task('a'), own, wanted);
        const trajectory = await rollOutOne(whole, environment());
        for (const searches of wanted)
          expect(at(searches, trajectory)).toEqual(
            await rollOutOne({ ...task('a'), limits: { ...own, searches } }, environment()),
          );
      },
    ),
    { numRuns: 150 },
  );
});
