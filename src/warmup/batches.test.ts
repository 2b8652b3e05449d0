import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random, streamKey } from '../base/random.ts';
import { batchesOf, makeBatches, type Position } from './batches.ts';
import type { Example, ExampleSource } from './examples.ts';

const example = (length: number): Example => ({
  ids: Array.from({ length }, (_, i) => i),
  weights: new Float32Array(length),
});

describe('batches', () => {
  it('hold every example once and stay within the budget when padded', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 50 }), fc.nat(), (lengths, seed) => {
        const examples = lengths.map(example);
        const batches = makeBatches(examples, 100, new Random(streamKey(seed)));
        expect(new Set(batches.flat())).toEqual(new Set(examples));
        expect(batches.flat()).toHaveLength(examples.length);
        for (const batch of batches) {
          const longest = Math.max(...batch.map(({ ids }) => ids.length));
          expect(batch.length === 1 || batch.length * longest <= 100).toBe(true);
        }
      }),
    );
  });

  it('let one long example stand alone', () => {
    const batches = makeBatches([example(10), example(500)], 100, new Random(streamKey(1)));
    expect(batches.map((batch) => batch.map(({ ids }) => ids.length)).sort()).toEqual([[10], [500]]);
  });
});

describe('the stream of a phase', () => {
  const phase = { kind: 'reading', steps: 9, articles: 1, statements: 1 } as const;
  // Chunk c holds examples of lengths that are found nowhere else.
  const source: Pick<ExampleSource, 'chunk'> = {
    chunk: async (_phase, _index, chunk) => Array.from({ length: 7 }, (_, i) => example(1 + 7 * chunk + i)),
  };
  const take = async (from: Position, count: number) => {
    const out: { lengths: number[]; next: Position }[] = [];
    for await (const { batch, next } of batchesOf(source as ExampleSource, phase, 0, 12, 5, from)) {
      out.push({ lengths: batch.map(({ ids }) => ids.length), next });
      if (out.length === count) break;
    }
    return out;
  };

  it('goes on from any position exactly as it would have', async () => {
    const whole = await take({ chunk: 0, batch: 0 }, 20);
    for (const stop of [0, 3, 4, 11]) {
      const rest = await take(whole[stop]!.next, 19 - stop);
      expect(rest).toEqual(whole.slice(stop + 1));
    }
  });
});
