/** The pool's second try: who gets it, and what it leaves as it was. */
import { describe, expect, it } from 'vitest';
import { findExpert } from '../algorithms/pairs.ts';
import { readPool, rollOutPool } from './pool.ts';
import { presets } from './presets.ts';
import type { Settings } from './settings.ts';
import { start, toyRun } from './testing/toy.ts';

const { smoke } = presets;
/** One rollout in five is right. */
const says = (_: number, __: string, ___: number, luck: number) =>
  `<think> done </think> <answer> ${luck < 0.2 ? 'gold' : 'tin'} </answer>`;

async function pooled(retry: Settings['pool']['retry']) {
  const toy = toyRun({ says, settings: { pool: { ...smoke.pool, questions: 30, rollouts: 3, retry } } });
  const { results } = await rollOutPool(toy.run, { name: 'pool-1', cycle: 1 }, start);
  return { groups: await readPool(toy.run, 1), measured: results.pools[0]!, events: toy.events };
}

describe('pool.retry', () => {
  it('rolls out again what has no expert, on streams of its own, and nothing else', async () => {
    const [plain, again] = [await pooled(null), await pooled({ rollouts: 4 })];
    const failed = plain.groups.map((group) => findExpert(group) === undefined);
    expect(failed.filter(Boolean).length).toBeGreaterThan(5);
    expect(again.groups.map(({ length }) => length)).toEqual(failed.map((has) => (has ? 7 : 3)));
    expect(again.groups.map((group) => group.slice(0, 3))).toEqual(plain.groups);
    for (const group of again.groups) expect(group.map(({ rollout }) => rollout)).toEqual([...group.keys()]);
    // A stream of its own: of so many second tries one in five is right, too.
    const second = again.groups.flatMap((group) => group.slice(3));
    const rate = second.filter(({ correct }) => correct === 1).length / second.length;
    expect(Math.abs(rate - 0.2)).toBeLessThan(0.2);
    expect(rate).toBeGreaterThan(0);
  });

  it('finds more pairs, and does not change how right the pool is said to be', async () => {
    const [plain, again] = [await pooled(null), await pooled({ rollouts: 4 })];
    expect(again.measured.pairs).toBeGreaterThan(plain.measured.pairs);
    expect(again.measured.exactMatch).toBe(plain.measured.exactMatch);
    expect(again.measured.rollouts).toBe(again.groups.flat().length);
    const done = again.events.flatMap((event) => (event.kind === 'rollouts' ? [event.done / event.total] : []));
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(done.at(-1)).toBeLessThanOrEqual(1);
  });
});
