import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { continuationWork, cutMicroBatches, forEachRow, workOf } from './micro-batches.ts';

describe('workOf', () => {
  it('reads no further than the last token that matters, and never token 0', () => {
    expect(workOf(3, [5, 6, 7, 8, 9], [1, 0, 1, 1, 0])).toEqual({ index: 3, ids: [5, 6, 7], positions: [1, 2] });
    expect(workOf(0, [5, 6], [1, 0])).toEqual({ index: 0, ids: [], positions: [] });
  });

  it('predicts the first token of a continuation from the end of its prompt', () => {
    expect(continuationWork(1, [1, 2, 3], [4, 5], [1, 1])).toEqual({ index: 1, ids: [1, 2, 3, 4], positions: [2, 3] });
  });
});

describe('cutMicroBatches', () => {
  const sequence = fc.integer({ min: 1, max: 40 }).chain((length) =>
    fc.record({
      // Few different ids: many sequences begin alike, or are the prefix of another one.
      ids: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: length, maxLength: length }),
      mask: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: length, maxLength: length }),
    }),
  );

  it('computes every masked token exactly once, within the limits, and gives rows back to their sequences', () => {
    fc.assert(
      fc.property(fc.array(sequence, { maxLength: 20 }), fc.integer({ min: 1, max: 200 }), (sequences, tokens) => {
        const work = sequences.map(({ ids, mask }, index) => workOf(index, ids, mask));
        const seen = sequences.map(({ mask }) => mask.map((_, t) => (t === 0 ? mask[0]! : 0)));
        for (const micro of cutMicroBatches(work, { tokens, rows: 50 })) {
          if (micro.work.length > 1) {
            expect(prefixes(micro.work.map(({ ids }) => ids)).size).toBeLessThanOrEqual(tokens);
            expect(micro.rows).toBeLessThanOrEqual(50);
          }
          expect(new Set(micro.slots).size).toBe(micro.slots.length);
          forEachRow(micro, (row, index, token) => {
            seen[index]![token]! += 1;
            // The row's own token stands just before the one it predicts.
            const slot = micro.slots[micro.reads[row]!]!;
            expect(micro.levels.ids[slot]).toBe(sequences[index]!.ids[token - 1]);
            expect(micro.levels.positions[slot]).toBe(token - 1);
          });
        }
        expect(seen).toEqual(sequences.map(({ mask }) => mask));
      }),
    );
  });

  it('keeps groups whole where limits allow, in equal parts', () => {
    const groups = Array.from({ length: 6 }, (_, question) =>
      Array.from({ length: 5 }, (_, rollout) => [
        ...new Array(10).fill(question),
        ...new Array(9).fill(100 + rollout),
        1,
      ]),
    );
    // In the order in which rollouts end: of every question in turn.
    const work = Array.from({ length: 30 }, (_, n) => {
      const ids = groups[n % 6]![Math.floor(n / 6)]!;
      return workOf(
        n,
        ids,
        ids.map((_, t) => (t < 10 ? 0 : 1)),
      );
    });
    // A group has 10 + 5 x 9 tokens: 330 of all, 2 x 165.
    const batches = cutMicroBatches(work, { tokens: 200, rows: 1000 });
    expect(batches.map((micro) => micro.work.map(({ index }) => index % 6))).toEqual(
      [
        [0, 1, 2],
        [3, 4, 5],
      ].map((questions) => questions.flatMap((q) => new Array(5).fill(q))),
    );
    expect(batches.map(({ levels }) => levels.ids.length)).toEqual([165, 165]);
  });
});

/** All prefixes of the sequences: what has to be computed at least. */
function prefixes(sequences: readonly (readonly number[])[]): Set<string> {
  return new Set(sequences.flatMap((ids) => ids.map((_, t) => ids.slice(0, t + 1).join())));
}
