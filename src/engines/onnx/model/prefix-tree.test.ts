import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LEVELS, type Levels, layOut } from './prefix-tree.ts';

/** The ids and positions that a slot sees: its own, those before it in its segment, and its parents' segments. */
function contextOf({ counts, lengths, parents, ids, positions }: Levels, slot: number): number[][] {
  let level = 0;
  let base = 0;
  while (slot >= base + counts[level]! * lengths[level]!) base += counts[level]! * lengths[level++]!;
  let segment = Math.floor((slot - base) / lengths[level]!);
  let last = (slot - base) % lengths[level]!;
  const seen: number[][] = [];
  for (; level >= 0; level--) {
    const first = base + segment * lengths[level]!;
    for (let t = last; t >= 0; t--) seen.unshift([ids[first + t]!, positions[first + t]!]);
    if (level === 0) break;
    const skipped = counts.slice(1, level).reduce((sum, count) => sum + count, 0);
    segment = parents[skipped + segment]!;
    base -= counts[level - 1]! * lengths[level - 1]!;
    last = lengths[level - 1]! - 1;
  }
  return seen;
}

const sequences = fc.array(
  // Two ids: prefixes are shared at every length.
  fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 1, maxLength: 30 }),
  { minLength: 1, maxLength: 12 },
);

describe('layOut', () => {
  it('gives every token its own context, at its own positions', () => {
    fc.assert(
      fc.property(sequences, (batch) => {
        const { levels, slotOf } = layOut(batch);
        expect(levels.counts.every((count) => count > 0)).toBe(true);
        expect(levels.lengths.every((length) => length > 0)).toBe(true);
        expect(levels.ids.length).toBe(levels.counts.reduce((sum, n, level) => sum + n * levels.lengths[level]!, 0));
        for (const [n, ids] of batch.entries())
          for (const t of ids.keys())
            expect(contextOf(levels, slotOf(n, t))).toEqual(ids.slice(0, t + 1).map((id, s) => [id, s]));
      }),
    );
  });

  it('computes a prompt once, and a rollout that is the prefix of another one not at all', () => {
    const prompt = Array.from({ length: 20 }, (_, t) => t);
    const rollout = [50, 51, 52, 53, 54, 55];
    const group = [rollout, rollout.slice(0, 2), rollout, [60, 61, 62, 63, 64, 65], []];
    const { levels, slotOf } = layOut(group.map((rest) => [...prompt, ...rest]));
    expect(levels.ids.length).toBe(20 + 6 + 6);
    expect(slotOf(1, 21)).toBe(slotOf(0, 21));
    expect(slotOf(4, 19)).toBe(slotOf(3, 19));
    expect(slotOf(3, 20)).not.toBe(slotOf(0, 20));
  });

  it('pads little where nothing is shared and lengths differ', () => {
    const batch = Array.from({ length: 16 }, (_, n) => new Array(80 + 20 * n).fill(n));
    const real = batch.reduce((sum, ids) => sum + ids.length, 0);
    expect(layOut(batch).levels.ids.length).toBeLessThan(1.06 * real);
  });

  it('takes sequences shorter than there are levels', () => {
    const { levels, slotOf } = layOut([[7]]);
    expect([...levels.lengths]).toEqual(new Array(LEVELS).fill(1));
    expect(levels.ids[slotOf(0, 0)]).toBe(7);
  });

  it('does not depend on the order of the sequences, but for the numbers they have in it', () => {
    fc.assert(
      fc.property(sequences, (batch) => {
        const [one, other] = [layOut(batch), layOut(batch.toReversed())];
        expect(other.levels).toEqual(one.levels);
        for (const [n, ids] of batch.entries())
          for (const t of ids.keys()) expect(other.slotOf(batch.length - 1 - n, t)).toBe(one.slotOf(n, t));
      }),
    );
  });
});
