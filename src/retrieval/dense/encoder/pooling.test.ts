import { expect, test } from 'vitest';
import { Random, streamKey } from '../../../base/random.ts';
import { pool, poolings } from './pooling.ts';

/** Number by number, from lists of a text's own tokens. */
const plain = {
  mean: (column: readonly number[]) => column.reduce((sum, value) => sum + value, 0) / column.length,
  cls: (column: readonly number[]) => column[0]!,
  max: (column: readonly number[]) => Math.max(...column),
};

test.each(poolings)('%s: the plain loop over the tokens that a text has, padding left out', (pooling) => {
  const random = new Random(streamKey('pooling'));
  const [length, dimension, counts] = [7, 3, [1, 7, 4, 2]];
  // All below zero: a maximum over padding, which is large here, or from zero would be seen.
  const states = Float32Array.from({ length: counts.length * length * dimension }, () => -1 - random.uniform());
  for (const [row, count] of counts.entries())
    states.fill(1e6, (row * length + count) * dimension, (row + 1) * length * dimension);
  const pooled = pool(states, counts, { pooling, length, dimension });
  const expected = counts.flatMap((count, row) =>
    Array.from({ length: dimension }, (_, j) =>
      Math.fround(plain[pooling](Array.from({ length: count }, (_, t) => states[(row * length + t) * dimension + j]!))),
    ),
  );
  expect([...pooled]).toEqual(expected);
});
