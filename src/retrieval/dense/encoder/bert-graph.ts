/**
 * BERT's encoder as an ONNX graph with the weights in it, from ids to the last hidden states:
 *
 *   x = norm(word[id] + position[t] + type[0])
 *   each layer: a = norm(x + attention(x) Wₒ + bₒ);   x = norm(a + act(a W₁ + b₁) W₂ + b₂)
 *
 * Attention is bidirectional; tokens whose attention_mask is 0 are not looked at. ONNX Runtime's own operators do several of
 * these steps at once.
 */
import { Graph, type TensorName } from '../../../onnx/graph.ts';
import type { BertConfig } from './bert-config.ts';

/** @param weights as `readBertWeights` reads them */
export function bertGraph(config: BertConfig, weights: ReadonlyMap<string, Float32Array>): Uint8Array {
  const graph = new Graph();
  const { hidden } = config;
  const ids = graph.input('input_ids', 'int64', ['batch', 'length']);
  const mask = graph.cast(graph.input('attention_mask', 'int64', ['batch', 'length']), 'int32');
  let x = embeddings(graph, config, weights, ids);
  for (let i = 0; i < config.layers; i++) x = layer(graph, config, weights, `encoder.layer.${i}`, x, mask);
  graph.output('last_hidden_state', 'float32', ['batch', 'length', hidden], x);
  return graph.build();
}

type Weights = ReadonlyMap<string, Float32Array>;

function embeddings(graph: Graph, config: BertConfig, weights: Weights, ids: TensorName): TensorName {
  const { hidden, vocabulary, positions, epsilon } = config;
  const type = weights.get('embeddings.token_type_embeddings.weight')!;
  // Every token of a text is of type 0.
  const places = weights.get('embeddings.position_embeddings.weight')!.map((value, i) => value + type[i % hidden]!);
  const words = weights.get('embeddings.word_embeddings.weight')!;
  const word = graph.op('Gather', [graph.initializer('words', 'float32', [vocabulary, hidden], words), ids]);
  const length = graph.op('Shape', [ids], { start: 1, end: 2 });
  const zero = graph.integers([0]);
  const table = graph.initializer('positions', 'float32', [positions, hidden], places);
  const sum = graph.op('Add', [word, graph.op('Slice', [table, zero, length, zero])]);
  const [weight, bias] = vectors(graph, weights, 'embeddings.LayerNorm', hidden);
  return graph.op('LayerNormalization', [sum, weight, bias], { axis: -1, epsilon: { float: epsilon } });
}

function layer(
  graph: Graph,
  config: BertConfig,
  weights: Weights,
  name: string,
  x: TensorName,
  mask: TensorName,
): TensorName {
  const { hidden, intermediate, heads, epsilon } = config;
  const vector = (of: string, length: number) => graph.initializer(of, 'float32', [length], weights.get(of)!);
  const multiplied = (input: TensorName, of: string, inputs: number, outputs: number) => {
    const data = transposed([weights.get(`${of}.weight`)!], inputs);
    return graph.op('MatMul', [input, graph.initializer(`${of}.weight`, 'float32', [inputs, outputs], data)]);
  };
  /** norm(residual + input + bias) */
  const added = (input: TensorName, residual: TensorName, part: string) => {
    const [weight, shift] = vectors(graph, weights, `${name}.${part}.LayerNorm`, hidden);
    return graph.microsoft(
      'SkipLayerNormalization',
      [input, residual, weight, shift, vector(`${name}.${part}.dense.bias`, hidden)],
      { epsilon: { float: epsilon } },
    );
  };
  const parts = ['query', 'key', 'value'].map((part) => `${name}.attention.self.${part}`);
  const products = transposed(
    parts.map((part) => weights.get(`${part}.weight`)!),
    hidden,
  );
  const biases = Float32Array.from(parts.flatMap((part) => [...weights.get(`${part}.bias`)!]));
  const attended = graph.microsoft(
    'Attention',
    [
      x,
      graph.initializer(`${name}.attention.self.weight`, 'float32', [hidden, 3 * hidden], products),
      graph.initializer(`${name}.attention.self.bias`, 'float32', [3 * hidden], biases),
      mask,
    ],
    { num_heads: heads },
  );
  const a = added(multiplied(attended, `${name}.attention.output.dense`, hidden, hidden), x, 'attention.output');
  const inner = multiplied(a, `${name}.intermediate.dense`, hidden, intermediate);
  const active = activated(graph, config, inner, vector(`${name}.intermediate.dense.bias`, intermediate));
  return added(multiplied(active, `${name}.output.dense`, intermediate, hidden), a, 'output');
}

/** act(x + bias) */
function activated(graph: Graph, { activation }: BertConfig, x: TensorName, bias: TensorName): TensorName {
  switch (activation) {
    case 'gelu':
      return graph.microsoft('BiasGelu', [x, bias]);
    case 'gelu tanh':
      return graph.microsoft('FastGelu', [x, bias]);
    case 'relu':
      return graph.op('Relu', [graph.op('Add', [x, bias])]);
  }
}

/** A norm's weight and bias. */
function vectors(graph: Graph, weights: Weights, name: string, length: number): [TensorName, TensorName] {
  const vector = (of: string) => graph.initializer(of, 'float32', [length], weights.get(of)!);
  return [vector(`${name}.weight`), vector(`${name}.bias`)];
}

/** Matrices [outputs, inputs], as PyTorch keeps them, side by side as [inputs, outputs of all]. */
function transposed(matrices: readonly Float32Array[], inputs: number): Float32Array {
  const columns = matrices.reduce((sum, matrix) => sum + matrix.length / inputs, 0);
  const result = new Float32Array(inputs * columns);
  let first = 0;
  for (const matrix of matrices) {
    const outputs = matrix.length / inputs;
    for (let row = 0; row < outputs; row++)
      for (let i = 0; i < inputs; i++) result[i * columns + first + row] = matrix[row * inputs + i]!;
    first += outputs;
  }
  return result;
}
