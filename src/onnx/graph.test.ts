import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Graph } from './graph.ts';

describe('Graph', () => {
  it('runs in ONNX Runtime with attributes, constants, initialisers and several results', async () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['rows', 2]);
    const weight = graph.initializer('weight', 'float32', [2, 2], new Float32Array([1, 2, 3, 4]));
    const product = graph.op('Gemm', [x, weight], { transB: 1, alpha: { float: 0.5 } });
    const [left, right] = graph.ops(2, 'Split', [product, graph.integers([1, 1])], { axis: 1 });
    const activated = graph.microsoft('QuickGelu', [left!], { alpha: { float: 1 } });
    graph.output('silu', 'float32', ['rows', 1], activated);
    graph.output('shifted', 'float32', ['rows', 1], graph.op('Add', [right!, graph.float(10)]));
    graph.output('x', 'float32', ['rows', 2]);

    const session = await InferenceSession.create(graph.build(), { graphOptimizationLevel: 'basic' });
    const results = await session.run({ x: new Tensor('float32', new Float32Array([1, 1, 2, 0]), [2, 2]) });
    await session.release();
    // x Wᵀ / 2 = [[1.5, 3.5], [1, 3]]
    expect(results.shifted!.data).toEqual(new Float32Array([13.5, 13]));
    expect(results.silu!.data[0]).toBeCloseTo(1.5 / (1 + Math.exp(-1.5)), 6);
    expect(results.silu!.data[1]).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
  });

  it('stores equal constants once', () => {
    const graph = new Graph();
    expect(graph.float(1)).toBe(graph.float(1));
    expect(graph.integers([1, 2])).toBe(graph.integers([1, 2]));
    expect(graph.integer(1)).not.toBe(graph.integers([1]));
  });
});
