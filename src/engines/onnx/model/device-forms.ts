/**
 * What is written one way for the processor and another for WebGPU, where an operator has no kernel (each such node costs a copy of
 * its tensors to the processor and one back) or a wrong one. Everything else of a graph is the same on both.
 */
import type { Graph, TensorName } from '../../../onnx/graph.ts';

interface ProductOptions {
  /** So many axes the first operand has, if its last two are to be exchanged. */
  readonly transposeA?: number;
  readonly transposeB?: number;
  readonly scale?: number;
}

/** scale · a b, or with aᵀ or bᵀ. WebGPU has no FusedMatMul; there the second operand is scaled, the smaller one wherever it is used. */
export function product(
  graph: Graph,
  a: TensorName,
  b: TensorName,
  { transposeA, transposeB, scale }: ProductOptions,
): TensorName {
  if (graph.device === 'cpu')
    return graph.microsoft('FusedMatMul', [a, b], {
      ...(transposeA && { transA: 1 }),
      ...(transposeB && { transB: 1 }),
      ...(scale !== undefined && { alpha: { float: scale } }),
    });
  const scaled = scale === undefined ? b : graph.op('Mul', [b, graph.float(scale)]);
  return graph.op('MatMul', [transposed(graph, a, transposeA), transposed(graph, scaled, transposeB)]);
}

/**
 * x Wᵀ + addend. A weight that the graph holds in 16 bits (sampling on a GPU) is multiplied in 16 bits, which adds up in them too; what
 * comes in and goes out has 32. `outputs` names the result of a product in 32 bits.
 */
export function linear(
  graph: Graph,
  x: TensorName,
  weight: TensorName,
  addend: TensorName | undefined,
  outputs?: readonly [TensorName],
): TensorName {
  if (graph.typeOf(weight) !== 'float16')
    return graph.op('Gemm', addend ? [x, weight, addend] : [x, weight], { transB: 1 }, outputs && { outputs });
  const narrow = graph.op('Gemm', [graph.cast(x, 'float16'), weight], { transB: 1 });
  const wide = graph.cast(narrow, 'float32');
  return addend ? graph.op('Add', [wide, addend]) : wide;
}

function transposed(graph: Graph, x: TensorName, axes: number | undefined): TensorName {
  if (axes === undefined) return x;
  const order = Array.from({ length: axes }, (_, axis) => axis);
  return graph.op('Transpose', [x], { perm: [...order.slice(0, -2), axes - 1, axes - 2] });
}

/** log softmax over the last axis. WebGPU has none: z − log Σ e^z, z = x − max x. */
export function logSoftmax(graph: Graph, x: TensorName): TensorName {
  if (graph.device === 'cpu') return graph.op('LogSoftmax', [x], { axis: -1 });
  const last = graph.integers([-1]);
  const z = graph.op('Sub', [x, graph.op('ReduceMax', [x, last])]);
  return graph.op('Sub', [z, graph.op('Log', [graph.op('ReduceSum', [graph.op('Exp', [z]), last])])]);
}

/**
 * y = w x / rms, rms = sqrt(mean(x²) + ε), and, for who asks, 1 / rms. The operator's second output is that; WebGPU's kernel
 * (ONNX Runtime 1.30) leaves it unwritten, so there it is computed from x.
 */
export function rmsNormalised(
  graph: Graph,
  x: TensorName,
  weight: TensorName,
  epsilon: number,
): readonly [y: TensorName, inverse: () => TensorName] {
  const attributes = { axis: -1, epsilon: { float: epsilon }, stash_type: 1 };
  if (graph.device === 'cpu') {
    const [y, inverse] = graph.ops(2, 'SimplifiedLayerNormalization', [x, weight], attributes);
    return [y!, () => inverse!];
  }
  return [
    graph.op('SimplifiedLayerNormalization', [x, weight], attributes),
    () => {
      const meanSquare = graph.op('ReduceMean', [graph.op('Mul', [x, x]), graph.integers([-1])]);
      return graph.op('Reciprocal', [graph.op('Sqrt', [graph.op('Add', [meanSquare, graph.float(epsilon)])])]);
    },
  ];
}
