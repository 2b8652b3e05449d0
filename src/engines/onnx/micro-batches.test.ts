import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { continuationWork, cutMicroBatches, flatRows, forEachRow, paddedIds, workOf } from './micro-batches.ts';

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
      ids: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: length, maxLength: length }),
      mask: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: length, maxLength: length }),
    }),
  );

  it('computes every masked token exactly once, within the budget, and gives rows back to their sequences', () => {
    fc.assert(
      fc.property(fc.array(sequence, { maxLength: 20 }), fc.integer({ min: 1, max: 200 }), (sequences, tokens) => {
        const work = sequences.map(({ ids, mask }, index) => workOf(index, ids, mask));
        const seen = sequences.map(({ mask }) => mask.map((_, t) => (t === 0 ? mask[0]! : 0)));
        for (const micro of cutMicroBatches(work, { tokens, rows: 50 })) {
          if (micro.work.length > 1) {
            expect(micro.work.length * micro.work[0]!.ids.length).toBeLessThanOrEqual(tokens);
            expect(micro.rows).toBeLessThanOrEqual(50);
            const real = micro.work.reduce((sum, { ids }) => sum + ids.length, 0);
            expect(real).toBeGreaterThanOrEqual((7 / 8) * micro.work.length * micro.work[0]!.ids.length);
          }
          const [ids, rows] = [paddedIds(micro), flatRows(micro)];
          forEachRow(micro, (row, index, token) => {
            seen[index]![token]! += 1;
            // The row's own token stands just before the one it predicts.
            expect(ids[rows[row]!]).toBe(sequences[index]!.ids[token - 1]);
          });
        }
        expect(seen).toEqual(sequences.map(({ mask }) => mask));
      }),
    );
  });
});
