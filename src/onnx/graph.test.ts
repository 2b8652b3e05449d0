import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Graph } from './graph.ts';
import { ProtobufWriter } from './protobuf.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('ProtobufWriter', () => {
  // Expected bytes are the examples of the format's own documentation, or follow from its text.
  it('writes integers as base-128 groups', () => {
    const message = new ProtobufWriter();
    message.integer(1, 150);
    message.integer(1, 0);
    message.integer(2, -2);
    expect(hex(message.finish())).toBe(`089601${'0800'}10feffffffffffffffff01`);
  });

  it('writes strings, floats and embedded messages', () => {
    const inner = new ProtobufWriter();
    inner.integer(1, 150);
    const message = new ProtobufWriter();
    message.bytes(2, 'testing');
    message.bytes(3, inner);
    message.float(4, 1);
    expect(hex(message.finish())).toBe('120774657374696e671a03089601250000803f');
  });

  it('puts large contents, nested ones too, in their places', () => {
    const [large, small] = [new Uint8Array(5000).fill(7), Uint8Array.of(1, 2)];
    const inner = new ProtobufWriter();
    inner.bytes(1, small);
    inner.bytes(2, large);
    inner.bytes(3, small);
    const outer = new ProtobufWriter();
    outer.integer(1, 5);
    outer.bytes(2, inner);
    outer.integer(1, 6);
    const body = `0a020102${'128827'}${'07'.repeat(5000)}1a020102`;
    // 5,011 bytes: 0x93 0x27 in base 128.
    expect(hex(outer.finish())).toBe(`0805129327${body}0806`);
  });

  it('grows past its first buffer', () => {
    const message = new ProtobufWriter();
    message.bytes(1, new Uint8Array(100_000).fill(7));
    expect(message.finish().length).toBe(100_000 + 4);
  });
});

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
