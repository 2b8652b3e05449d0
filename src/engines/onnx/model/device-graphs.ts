/** The small graphs around the model where everything stays on the GPU: the embedding's rows, sums of squares, AdamW. */
import { Graph } from '../../../onnx/graph.ts';
import type { ModelConfig } from './parameters.ts';

/** x [T, hidden] = E[ids]; inputs `embedding` [V, hidden], `ids` [T]. */
export function embeddingGraph({ vocabulary, hidden }: ModelConfig): Graph {
  const graph = new Graph('webgpu');
  const embedding = graph.input('embedding', 'float32', [vocabulary, hidden]);
  graph.output('x', 'float32', ['T', hidden], graph.op('Gather', [embedding, graph.input('ids', 'int64', ['T'])]));
  return graph;
}

/**
 * `total` [V, hidden]: `sum` with dE[v] = Σ_{t: ids_t = v} dx_t added to the rows of the D distinct ids. Rows of the same id are added by a
 * matrix product with [D, T] ones, so that no two writes meet and the order is fixed. Inputs: dx [T, hidden], `distinct` [D] int64, and as
 * floats, exact below 2²⁴, `distinct numbers` [D, 1] and `id numbers` [1, T].
 */
export function embeddingGradientGraph({ vocabulary, hidden }: ModelConfig): Graph {
  const graph = new Graph('webgpu');
  const sum = graph.input('sum', 'float32', [vocabulary, hidden]);
  const dx = graph.input('dx', 'float32', ['T', hidden]);
  const places = graph.input('distinct', 'int64', ['D', 1]);
  const numbers = [
    graph.input('distinct numbers', 'float32', ['D', 1]),
    graph.input('id numbers', 'float32', [1, 'T']),
  ];
  const ones = graph.op('Cast', [graph.op('Equal', numbers)], { to: 1 });
  const before = graph.op('GatherND', [sum, places]);
  const rows = graph.op('Add', [before, graph.op('MatMul', [ones, dx])]);
  graph.output('total', 'float32', [vocabulary, hidden], graph.op('ScatterND', [sum, places, rows]));
  return graph;
}

/** Σ g² of each of `count` tensors `0`, `1`, …, in one vector `squares` [count]. */
export function squaresGraph(count: number): Graph {
  const graph = new Graph('webgpu');
  const sums = Array.from({ length: count }, (_, i) => {
    const g = graph.input(`${i}`, 'float32');
    // Row by row first: many threads, and short sums.
    const rows = graph.op('ReduceSum', [graph.op('Mul', [g, g]), graph.integers([-1])]);
    return graph.op('Reshape', [graph.op('ReduceSum', [rows], { keepdims: 0 }), graph.integers([1])]);
  });
  graph.output('squares', 'float32', [count], graph.op('Concat', sums, { axis: 0 }));
  return graph;
}

/** The scalars that `adamwGraph` takes besides tensors of any one shape. */
export const ADAMW_SCALARS = ['beta1', 'beta2', 'gradient factor', 'square factor', 'epsilon', 'rate', 'keep'] as const;

/**
 * AdamW (adamw.ts) on one tensor: inputs w, g, first, second; outputs `new w`, `new first`, `new second`. With the clip's scale s and
 * c = 1 / (1 − β₂ᵗ), the scalars `gradient factor` = s (1 − β₁), `square factor` = s² (1 − β₂), `epsilon` = ε / √c, `rate` = η / (1 − β₁ᵗ) / √c
 * and `keep` = 1 − η λ leave one pass less over the tensors than the formula as it is written.
 */
export function adamwGraph(): Graph {
  const graph = new Graph('webgpu');
  const [w, g, first, second] = ['w', 'g', 'first', 'second'].map((name) => graph.input(name, 'float32')) as [
    string,
    string,
    string,
    string,
  ];
  const [beta1, beta2, gradientFactor, squareFactor, epsilon, rate, keep] = ADAMW_SCALARS.map((name) =>
    graph.input(name, 'float32', []),
  ) as [string, string, string, string, string, string, string];
  // m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²
  const m = graph.op('Add', [graph.op('Mul', [first, beta1]), graph.op('Mul', [g, gradientFactor])]);
  const squared = graph.op('Mul', [graph.op('Mul', [g, g]), squareFactor]);
  const v = graph.op('Add', [graph.op('Mul', [second, beta2]), squared]);
  // w ← (1 − η λ) w − η m̂ / (√v̂ + ε)
  const step = graph.op('Div', [m, graph.op('Add', [graph.op('Sqrt', [v]), epsilon])]);
  const moved = graph.op('Sub', [graph.op('Mul', [w, keep]), graph.op('Mul', [step, rate])]);
  graph.output('new w', 'float32', undefined, moved);
  graph.output('new first', 'float32', undefined, m);
  graph.output('new second', 'float32', undefined, v);
  return graph;
}
