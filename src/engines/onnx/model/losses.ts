/**
 * What is read off the logits of selected rows: the losses with their gradient by the logits, log-probabilities, and
 * the teacher's distribution; and the graphs of a whole model with one of them at its end.
 *
 * All work on selected rows: row r of the logits predicts one token of a loss, so that nothing of size vocabulary is
 * ever computed for tokens that no loss reads, and rows may be taken in chunks. Each loss gives its gradient by the logits
 * [R, V] in closed form; the tape does the rest. Formulas are those of the contract (policy/policy.ts); R rows, V vocabulary.
 */

import type { Graph, SymbolicShape, TensorName } from '../../../onnx/graph.ts';
import type { LossBatch } from '../../../policy/policy.ts';
import { Tape } from './autodiff.ts';
import { logSoftmax } from './device-forms.ts';
import { divergence } from './divergences.ts';
import { distribution, output, rowInput, rowSum, scalarInput } from './loss-rows.ts';
import { layoutOf, type ModelConfig } from './parameters.ts';
import { adapterShapes, type Trained, transformer } from './transformer.ts';

export type LossName = LossBatch['loss'];
export type ReadoutName = 'logprobs' | 'top-logprobs' | 'teacher';

/** Gradient outputs carry this before the parameter's name. */
export const GRADIENT_PREFIX = 'gradient of ';
/** Inputs to which gradients are added. */
export const SUM_PREFIX = 'sum of ';
/** Output of training graphs of all weights: gradient by the looked-up embeddings, [T, hidden]. */
export const EMBEDDED_GRADIENT = `${GRADIENT_PREFIX}embedded`;

/** The graph of a model with a loss at its end: inputs of both, the loss's row outputs, and gradients. */
export function lossGraph(loss: LossName, config: ModelConfig, trained: Trained): Graph {
  const tape = new Tape();
  const { logits, embedded } = transformer(tape, config, trained);
  tape.backward(logits, LOSSES[loss](tape.graph, logits, config.vocabulary));
  outputGradients(tape, config, trained, () => true);
  if (trained === 'weights')
    tape.graph.output(EMBEDDED_GRADIENT, 'float32', ['T', config.hidden], tape.gradient(embedded));
  return tape.graph;
}

/** The graph of a model without gradients. */
export function readoutGraph(readout: ReadoutName, config: ModelConfig): Graph {
  const tape = new Tape();
  const { logits } = transformer(tape, config, 'nothing');
  READOUTS[readout](tape.graph, logits, config.vocabulary);
  return tape.graph;
}

/**
 * Gives out the gradient of every trained parameter whose name is `wanted`. That of an untied embedding is all in the
 * looked-up rows, which the caller scatters; of a tied one those are an addition.
 */
export function outputGradients(
  tape: Tape,
  config: ModelConfig,
  trained: Trained,
  wanted: (name: string) => boolean,
): void {
  for (const { name, shape } of trainedIn(config, trained, wanted)) {
    tape.graph.output(`${GRADIENT_PREFIX}${name}`, 'float32', shape, tape.gradient(name));
  }
}

/**
 * Declares for each of these an input `${SUM_PREFIX}<name>`, to which its gradient is added: where gradients stay on the GPU, they are
 * added up there. Before `backward`.
 */
export function inputSums(tape: Tape, config: ModelConfig, trained: Trained, wanted: (name: string) => boolean): void {
  for (const { name, shape } of trainedIn(config, trained, wanted))
    tape.addTo(name, tape.graph.input(`${SUM_PREFIX}${name}`, 'float32', shape));
}

/** The trained parameters that are `wanted` and have a gradient of their own. */
function trainedIn(
  config: ModelConfig,
  trained: Trained,
  wanted: (name: string) => boolean,
): { readonly name: string; readonly shape: SymbolicShape }[] {
  const shapes = trained === 'weights' ? layoutOf(config).entries : adapterShapes(config);
  return shapes.filter(
    ({ name }) => wanted(name) && !(name === 'model.embed_tokens.weight' && trained === 'weights' && !config.tiedHead),
  );
}

/** A loss gives out its rows and returns its gradient by the logits. */
export const LOSSES: Readonly<Record<LossName, (graph: Graph, logits: TensorName, vocabulary: number) => TensorName>> =
  {
    'policy-gradient': policyGradient,
    'cross-entropy': crossEntropy,
    'soft-cross-entropy': softCrossEntropy,
    'forward-kl': (...head) => divergence('forward-kl', ...head),
    'reverse-kl': (...head) => divergence('reverse-kl', ...head),
    jsd: (...head) => divergence('jsd', ...head),
  };

export const READOUTS: Readonly<Record<ReadoutName, (graph: Graph, logits: TensorName, vocabulary: number) => void>> = {
  /** Input: targets [R, 1]. Outputs [R]: logprobs, entropies. */
  logprobs: targetLogprobs,
  /** Input: k. Outputs [R, k], the likeliest token first: topLogprobs, topTokens (their ids as float32: exact below 2²⁴). */
  'top-logprobs': (graph, logits) => {
    const k = graph.input('k', 'int64', [1]);
    const logp = logSoftmax(graph, logits);
    const [values, indices] = graph.ops(2, 'TopK', [logp, k], { axis: -1, largest: 1, sorted: 1 });
    graph.output('topLogprobs', 'float32', ['R', 'K'], values!);
    graph.output('topTokens', 'float32', ['R', 'K'], graph.op('Cast', [indices!], { to: 1 }));
  },
  /** Input: inverseTemperature. Output: teacherLogprobs [R, V]. */
  teacher: (graph, logits, vocabulary) => {
    const scaled = graph.op('Mul', [logits, scalarInput(graph, 'inverseTemperature')]);
    const logp = logSoftmax(graph, scaled);
    graph.output('teacherLogprobs', 'float32', ['R', vocabulary], logp);
  },
};

/**
 * Inputs: targets [R, 1] int64; advantages, oldLogprobs, referenceLogprobs [R]; clipFloor
 * (1 − low), clipCeiling (1 + high), klCoefficient and scale (1 / denominator), scalars.
 * Outputs, each [R]: losses (not yet scaled), logprobs, entropies, referenceKls, clipped (1 or 0), and gradients.
 */
function policyGradient(graph: Graph, logits: TensorName): TensorName {
  const { targets, p, logprobs } = targetLogprobs(graph, logits);
  const advantages = rowInput(graph, 'advantages');
  const [old, reference] = [rowInput(graph, 'oldLogprobs'), rowInput(graph, 'referenceLogprobs')];
  const [floor, ceiling] = [scalarInput(graph, 'clipFloor'), scalarInput(graph, 'clipCeiling')];
  const [beta, scale] = [scalarInput(graph, 'klCoefficient'), scalarInput(graph, 'scale')];

  // ρ = π / π_old; surrogate min(ρ A, clip(ρ) A)
  const ratio = graph.op('Exp', [graph.op('Sub', [logprobs, old])]);
  const free = graph.op('Mul', [ratio, advantages]);
  const bounded = graph.op('Mul', [graph.op('Clip', [ratio, floor, ceiling]), advantages]);
  const surrogate = graph.op('Min', [free, bounded]);
  // Δ = log π_ref − log π; k3 = e^Δ − Δ − 1
  const delta = graph.op('Sub', [reference, logprobs]);
  const expDelta = graph.op('Exp', [delta]);
  const k3 = graph.op('Sub', [graph.op('Sub', [expDelta, delta]), graph.float(1)]);
  const losses = graph.op('Sub', [graph.op('Mul', [beta, k3]), surrogate]);
  // dloss/dlog π = β (1 − e^Δ) − ρ A where the free branch is the smaller one, its gradient 0 where it is not
  const isClipped = graph.op('Greater', [free, bounded]);
  const throughSurrogate = graph.op('Where', [isClipped, graph.float(0), free]);
  const throughKl = graph.op('Mul', [beta, graph.op('Sub', [graph.float(1), expDelta])]);
  const coefficients = graph.op('Mul', [graph.op('Sub', [throughKl, throughSurrogate]), scale]);

  output(graph, 'losses', losses);
  output(graph, 'referenceKls', k3);
  output(graph, 'clipped', graph.op('Cast', [isClipped], { to: 1 }));
  return targetGradient(graph, p, targets, coefficients);
}

/** Inputs: targets [R, 1] int64, weights [R], scale. Outputs [R]: losses, logprobs, entropies. */
function crossEntropy(graph: Graph, logits: TensorName): TensorName {
  const { targets, p, logprobs } = targetLogprobs(graph, logits);
  // loss = −w log π
  const negativeWeights = graph.op('Neg', [rowInput(graph, 'weights')]);
  output(graph, 'losses', graph.op('Mul', [negativeWeights, logprobs]));
  const coefficients = graph.op('Mul', [negativeWeights, scalarInput(graph, 'scale')]);
  return targetGradient(graph, p, targets, coefficients);
}

/** Inputs: targets [R, K] int64, weights [R, K], scale. Outputs [R]: losses, entropies. */
function softCrossEntropy(graph: Graph, logits: TensorName): TensorName {
  const targets = graph.input('targets', 'int64', ['R', 'K']);
  const weights = graph.input('weights', 'float32', ['R', 'K']);
  const { p, logp } = distribution(graph, logits);
  // loss = −Σ_k w_k log π(k)
  const picked = graph.op('GatherElements', [logp, targets], { axis: 1 });
  output(graph, 'losses', graph.op('Neg', [rowSum(graph, graph.op('Mul', [weights, picked]))]));
  // dlogits = π Σ_k w_k − Σ_k w_k onehot(k)
  const spread = graph.op('Mul', [p, graph.op('ReduceSum', [weights, graph.integers([1])])]);
  const taken = graph.op('ScatterElements', [spread, targets, graph.op('Neg', [weights])], {
    axis: 1,
    reduction: 'add',
  });
  return graph.op('Mul', [taken, scalarInput(graph, 'scale')]);
}

/** log π of one token a row; it is given out. */
function targetLogprobs(
  graph: Graph,
  logits: TensorName,
): { targets: TensorName; p: TensorName; logprobs: TensorName } {
  const targets = graph.input('targets', 'int64', ['R', 1]);
  const { p, logp } = distribution(graph, logits);
  const picked = graph.op('GatherElements', [logp, targets], { axis: 1 });
  const logprobs = graph.op('Squeeze', [picked, graph.integers([1])]);
  output(graph, 'logprobs', logprobs);
  return { targets, p, logprobs };
}

/** Of a loss that reads log π of one token a row, c = dloss/dlog π: dlogits = c (onehot − π). */
function targetGradient(graph: Graph, p: TensorName, targets: TensorName, coefficients: TensorName): TensorName {
  const column = graph.op('Unsqueeze', [coefficients, graph.integers([1])]);
  const spread = graph.op('Mul', [p, graph.op('Neg', [column])]);
  return graph.op('ScatterElements', [spread, targets, column], { axis: 1, reduction: 'add' });
}
