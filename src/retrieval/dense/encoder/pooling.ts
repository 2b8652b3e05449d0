/** One vector of a text from those of its tokens. */

export const poolings = ['mean', 'cls', 'max'] as const;
/** mean and max: over the text's tokens, special ones included, number by number; cls: the first token's vector. */
export type Pooling = (typeof poolings)[number];

/**
 * Pools rows that are padded on the right.
 * @param states [rows, length, dimension]
 * @param counts tokens of each row, at least one
 * @returns [rows, dimension]
 */
export function pool(
  states: Float32Array,
  counts: readonly number[],
  { pooling, length, dimension }: { readonly pooling: Pooling; readonly length: number; readonly dimension: number },
): Float32Array {
  const pooled = new Float32Array(counts.length * dimension);
  for (const [row, count] of counts.entries()) {
    const start = row * length * dimension;
    for (let j = 0; j < dimension; j++)
      pooled[row * dimension + j] = poolColumn(states, start + j, dimension, pooling === 'cls' ? 1 : count, pooling);
  }
  return pooled;
}

/** Of `count` numbers that lie `stride` apart. Sums are kept in double precision. */
function poolColumn(states: Float32Array, start: number, stride: number, count: number, pooling: Pooling): number {
  let [sum, largest] = [0, Number.NEGATIVE_INFINITY];
  for (let t = 0; t < count; t++) {
    const value = states[start + t * stride]!;
    sum += value;
    if (value > largest) largest = value;
  }
  return pooling === 'max' ? largest : sum / count;
}
