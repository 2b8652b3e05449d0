/** What the graphs of losses and readouts are put together from: inputs and outputs with one entry a row of logits. */
import type { Graph, TensorName } from '../../../onnx/graph.ts';
import { logSoftmax } from './device-forms.ts';

/** log π and π [R, V]; the entropy of each row is given out. */
export function distribution(graph: Graph, logits: TensorName): { p: TensorName; logp: TensorName } {
  const logp = logSoftmax(graph, logits);
  const p = graph.op('Exp', [logp]);
  output(graph, 'entropies', graph.op('Neg', [rowSum(graph, graph.op('Mul', [p, logp]))]));
  return { p, logp };
}

export function rowInput(graph: Graph, name: string): TensorName {
  return graph.input(name, 'float32', ['R']);
}

export function scalarInput(graph: Graph, name: string): TensorName {
  return graph.input(name, 'float32', []);
}

/** [R, V] to [R]. */
export function rowSum(graph: Graph, x: TensorName): TensorName {
  return graph.op('ReduceSum', [x, graph.integers([1])], { keepdims: 0 });
}

export function output(graph: Graph, name: string, tensor: TensorName): void {
  graph.output(name, 'float32', ['R'], tensor);
}
