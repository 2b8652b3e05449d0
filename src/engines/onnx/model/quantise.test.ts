import fc from 'fast-check';
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../base/random.ts';
import { Graph } from '../../../onnx/graph.ts';
import { floats } from '../../../onnx/session.ts';
import { BLOCK, quantise } from './quantise.ts';

/** The codes read back, in float64. */
function dequantise(matrix: ReturnType<typeof quantise>, rows: number, columns: number): Float64Array {
  const { codes, scales, blocks } = matrix;
  const values = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const block = row * blocks + Math.floor(column / BLOCK);
      const at = block * BLOCK + (column % BLOCK);
      const code = at % 2 === 0 ? codes[at >> 1]! & 15 : codes[at >> 1]! >> 4;
      values[row * columns + column] = scales[block]! * (code - 8);
    }
  }
  return values;
}

const normal = (size: number, key: [number, number]) => {
  const random = new Random(key);
  return Float32Array.from({ length: size }, () => random.normal());
};

describe('quantise to 4 bits', () => {
  it('is off by half a step at most, by a whole one at the far end', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 80 }),
        fc.nat(99),
        (rows, columns, seed) => {
          const matrix = normal(rows * columns, [seed, 1]);
          const result = quantise(matrix, columns);
          const values = dequantise(result, rows, columns);
          for (const [i, value] of values.entries()) {
            const row = Math.floor(i / columns);
            const scale = result.scales[row * result.blocks + Math.floor((i % columns) / BLOCK)]!;
            // The far end: of the sign that no block's extreme has, more than half a step above the highest code.
            const far = matrix[i]! / scale > 7.5;
            expect(Math.abs(value - matrix[i]!)).toBeLessThanOrEqual(Math.abs(scale) * (far ? 1 : 0.5) * (1 + 1e-5));
          }
        },
      ),
      { numRuns: 60, seed: 1 },
    );
  });

  it('keeps the extreme of a block, and zeros', () => {
    const matrix = new Float32Array(64);
    matrix[3] = 0.75;
    matrix[9] = -0.1;
    const values = dequantise(quantise(matrix, 64), 1, 64);
    expect(values[3]).toBeCloseTo(0.75, 6);
    expect(values.filter((value) => value === 0).length).toBeGreaterThanOrEqual(62);
    expect([...values.slice(32)]).toEqual(new Array(32).fill(0));
  });

  it('is what MatMulNBits multiplies with', async () => {
    const [rows, columns, batch] = [24, 70, 5];
    const [matrix, x] = [normal(rows * columns, [2, 4]), normal(batch * columns, [3, 4])];
    const result = quantise(matrix, columns);
    const graph = new Graph();
    const input = graph.input('x', 'float32', [batch, columns]);
    const codes = graph.initializer('codes', 'uint8', [rows, result.blocks, BLOCK / 2], result.codes);
    const scales = graph.initializer('scales', 'float32', [rows, result.blocks], result.scales);
    const attributes = { N: rows, K: columns, bits: 4, block_size: BLOCK, accuracy_level: 4 };
    graph.output('y', 'float32', [batch, rows], graph.microsoft('MatMulNBits', [input, codes, scales], attributes));
    const session = await InferenceSession.create(graph.build(), { executionProviders: ['cpu'], intraOpNumThreads: 1 });
    const y = (await session.run({ x: floats(x, [batch, columns]) })).y!.data as Float32Array;
    await session.release();

    const values = dequantise(result, rows, columns);
    let [error, size] = [0, 0];
    for (let n = 0; n < batch; n++) {
      for (let row = 0; row < rows; row++) {
        let exact = 0;
        for (let k = 0; k < columns; k++) exact += x[n * columns + k]! * values[row * columns + k]!;
        error += (y[n * rows + row]! - exact) ** 2;
        size += exact ** 2;
      }
    }
    // What is left is the rounding of x to 8 bits: a half of 1/127 of a block's extreme, uniformly.
    expect(Math.sqrt(error / size)).toBeLessThan(0.01);
  });
});
