/** Products in 8-bit integers against those of float64. */
import { describe, expect, it } from 'vitest';
import { Random } from '../../../base/random.ts';
import { Graph } from '../../../onnx/graph.ts';
import { createSession, floats } from '../../../onnx/session.ts';
import { integerProduct, quantiseColumns, quantiseRows } from './integer-product.ts';

async function product(x: Float32Array, weights: Float32Array, width: number): Promise<Float32Array> {
  const graph = new Graph();
  const [rows, out] = [x.length / width, weights.length / width];
  const quantised = quantiseRows(graph, graph.input('x', 'float32', ['T', width]), width);
  const y = integerProduct(graph, quantised, 'w', quantiseColumns(weights, width));
  graph.output('y', 'float32', ['T', out], y);
  const session = await createSession(graph.build(), 1);
  const results = await session.run({ x: floats(x, [rows, width]) });
  await session.release();
  return results.y!.data as Float32Array;
}

function exact(x: Float32Array, weights: Float32Array, width: number): number[] {
  const [rows, out] = [x.length / width, weights.length / width];
  return Array.from({ length: rows * out }, (_, i) => {
    const [row, column] = [Math.floor(i / out), i % out];
    let sum = 0;
    for (let k = 0; k < width; k++) sum += x[row * width + k]! * weights[column * width + k]!;
    return sum;
  });
}

const normal = (size: number, key: [number, number]) => {
  const random = new Random(key);
  return Float32Array.from({ length: size }, () => random.normal());
};

/** Root mean square of the difference over that of the truth. */
function relative(result: ArrayLike<number>, truth: readonly number[]): number {
  const squares = truth.reduce((sum, value) => sum + value ** 2, 0);
  return Math.sqrt(truth.reduce((sum, value, i) => sum + (result[i]! - value) ** 2, 0) / squares);
}

describe('products in 8-bit integers', () => {
  // More columns than a tile, blocks of 64, of 4, and none.
  it.each([192, 36, 21])('come within a hundredth of float64, at a width of %i', async (width) => {
    const [x, weights] = [normal(5 * width, [1, width]), normal(70 * width, [2, width])];
    const error = relative(await product(x, weights, width), exact(x, weights, width));
    expect(error).toBeLessThan(0.014);
    // Were nothing quantised, the test above would pass as well.
    expect(error).toBeGreaterThan(1e-3);
  });

  it('bear an activation that stands out', async () => {
    const width = 192;
    const [x, weights] = [normal(3 * width, [3, 1]), normal(70 * width, [4, 1])];
    const truth = exact(x, weights, width);
    for (let row = 0; row < 3; row++) x[row * width + 7] = 60;
    const [with60, alone] = [await product(x, weights, width), exact(x, weights, width)];
    // Of what the others contribute; a scale of 60 / 127 over unturned rows would be off by .14 of it.
    const difference = relative(with60, alone) * Math.sqrt(alone.reduce((sum, value) => sum + value ** 2, 0));
    expect(difference / Math.sqrt(truth.reduce((sum, value) => sum + value ** 2, 0))).toBeLessThan(0.08);
  });

  it('are exact at the highest codes, whose pairs do not fit in 16 bits', async () => {
    // One block wide: H turns constant rows into one value, and one value of 8 into constants.
    const width = 64;
    const [x, weights] = [new Float32Array(2 * width), new Float32Array(2 * width)];
    for (const row of [0, 1]) {
      x[row * width] = 8;
      weights[row * width] = row === 0 ? 8 : -8;
    }
    for (const value of (await product(x, weights, width)).entries())
      expect(value[1]).toBeCloseTo(value[0] % 2 === 0 ? 64 : -64, 4);
  });

  it('are zero for rows and columns of zeros', async () => {
    const width = 64;
    const [x, weights] = [
      normal(2 * width, [5, 1]).fill(0, 0, width),
      normal(3 * width, [6, 1]).fill(0, width, 2 * width),
    ];
    const y = await product(x, weights, width);
    expect([0, 1, 2, 4].map((i) => Math.abs(y[i]!))).toEqual([0, 0, 0, 0]);
    expect(Math.abs(y[3]!)).toBeGreaterThan(0);
  });
});
