/**
 * The graphs of the engine: the three losses with their backward pass, log-probabilities, and the teacher.
 *
 * All work on selected rows: row r of the logits predicts one token of a loss, so that nothing of size vocabulary is
 * ever computed for tokens that no loss reads. Each loss gives its gradient by the logits [R, V] in closed form; the
 * tape does the rest. Formulas are those of the contract (policy/policy.ts); R rows, V vocabulary.
 */
import { Tape } from './autodiff.ts';
import type { Graph, TensorName } from './graph.ts';
import { layoutOf, type ModelConfig } from './parameters.ts';
import { adapterShapes, type Trained, transformer } from './transformer.ts';

/** Gradient outputs carry this before the parameter's name. */
export const GRADIENT_PREFIX = 'gradient of ';
/** Output of training graphs of all weights: gradient by the looked-up embeddings, [N S, hidden]. */
export const EMBEDDED_GRADIENT = `${GRADIENT_PREFIX}embedded`;

/**
 * Inputs beside those of the transformer: targets [R] int64; advantages, oldLogprobs, referenceLogprobs [R]; clipFloor
 * (1 − low), clipCeiling (1 + high), klCoefficient and scale (1 / denominator), scalars.
 * Outputs, each [R]: losses (not yet scaled), logprobs, entropies, referenceKls, clipped (1 or 0), and gradients.
 */
export function policyGradientGraph(config: ModelConfig, trained: Trained): Uint8Array {
  const tape = new Tape();
  const { graph } = tape;
  const { logits, embedded } = transformer(tape, config, trained);
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
  tape.backward(logits, targetGradient(graph, p, targets, coefficients));
  outputGradients(tape, config, trained, embedded);
  return graph.build();
}

/** Inputs beside those of the transformer: targets [R] int64, weights [R], scale. Outputs [R]: losses, logprobs, entropies. */
export function crossEntropyGraph(config: ModelConfig, trained: Trained): Uint8Array {
  const tape = new Tape();
  const { graph } = tape;
  const { logits, embedded } = transformer(tape, config, trained);
  const { targets, p, logprobs } = targetLogprobs(graph, logits);
  // loss = −w log π
  const negativeWeights = graph.op('Neg', [rowInput(graph, 'weights')]);
  output(graph, 'losses', graph.op('Mul', [negativeWeights, logprobs]));
  const coefficients = graph.op('Mul', [negativeWeights, scalarInput(graph, 'scale')]);
  tape.backward(logits, targetGradient(graph, p, targets, coefficients));
  outputGradients(tape, config, trained, embedded);
  return graph.build();
}

/**
 * Inputs beside those of the transformer: teacherLogprobs [R, V] (see `teacherGraph`), clip τ (may be ∞) and scale.
 * Outputs, each [R]: losses, kls (without the clip), entropies, teacherEntropies, clipped (1 where an entry was cut).
 */
export function forwardKlGraph(config: ModelConfig, trained: Trained): Uint8Array {
  const tape = new Tape();
  const { graph } = tape;
  const { logits, embedded } = transformer(tape, config, trained);
  const clip = scalarInput(graph, 'clip');
  const scale = scalarInput(graph, 'scale');
  const logT = graph.input('teacherLogprobs', 'float32', ['R', config.vocabulary]);
  const { p: pS, logp: logS } = distribution(graph, logits);
  const pT = graph.op('Exp', [logT]);

  // l = p_T (log p_T − log p_S); both logarithms are finite, so an entry whose p_T underflows to 0 adds 0
  const l = graph.op('Mul', [pT, graph.op('Sub', [logT, logS])]);
  output(graph, 'losses', rowSum(graph, graph.op('Min', [l, clip])));
  output(graph, 'kls', rowSum(graph, l));
  output(graph, 'teacherEntropies', graph.op('Neg', [rowSum(graph, graph.op('Mul', [pT, logT]))]));
  const isClipped = graph.op('Greater', [l, clip]);
  const highest = graph.op('ReduceMax', [graph.op('Cast', [isClipped], { to: 1 }), graph.integers([1])], {
    keepdims: 0,
  });
  output(graph, 'clipped', highest);

  // U the uncut entries, P_U = Σ_{v∈U} p_T(v): dL/dlogit_u = p_S(u) P_U − p_T(u) [u ∈ U]
  const uncut = graph.op('Where', [isClipped, graph.float(0), pT]);
  const mass = graph.op('ReduceSum', [uncut, graph.integers([1])]);
  const gradient = graph.op('Mul', [graph.op('Sub', [graph.op('Mul', [pS, mass]), uncut]), scale]);
  tape.backward(logits, gradient);
  outputGradients(tape, config, trained, embedded);
  return graph.build();
}

/** Input beside those of the transformer: inverseTemperature. Output: teacherLogprobs [R, V]. */
export function teacherGraph(config: ModelConfig): Uint8Array {
  const tape = new Tape();
  const { graph } = tape;
  const { logits } = transformer(tape, config, 'nothing');
  const scaled = graph.op('Mul', [logits, scalarInput(graph, 'inverseTemperature')]);
  const logp = graph.op('LogSoftmax', [scaled], { axis: -1 });
  graph.output('teacherLogprobs', 'float32', ['R', config.vocabulary], logp);
  return graph.build();
}

/** Input beside those of the transformer: targets [R]. Outputs [R]: logprobs, entropies. */
export function logprobsGraph(config: ModelConfig): Uint8Array {
  const tape = new Tape();
  const { logits } = transformer(tape, config, 'nothing');
  targetLogprobs(tape.graph, logits);
  return tape.graph.build();
}

/** log π and π [R, V]; the entropy of each row is given out. */
function distribution(graph: Graph, logits: TensorName): { p: TensorName; logp: TensorName } {
  const logp = graph.op('LogSoftmax', [logits], { axis: -1 });
  const p = graph.op('Exp', [logp]);
  output(graph, 'entropies', graph.op('Neg', [rowSum(graph, graph.op('Mul', [p, logp]))]));
  return { p, logp };
}

/** log π of one token a row; it is given out. */
function targetLogprobs(
  graph: Graph,
  logits: TensorName,
): { targets: TensorName; p: TensorName; logprobs: TensorName } {
  const targets = graph.op('Unsqueeze', [graph.input('targets', 'int64', ['R']), graph.integers([1])]);
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

/**
 * Gives out the gradient of every trained parameter, and of the looked-up embeddings, which the caller scatters into
 * the embedding's rows: all there is of an untied embedding's gradient, and an addition to that of a tied one.
 */
function outputGradients(tape: Tape, config: ModelConfig, trained: Trained, embedded: TensorName): void {
  const { graph } = tape;
  for (const { name, shape } of trained === 'weights' ? layoutOf(config).entries : adapterShapes(config)) {
    if (name === 'model.embed_tokens.weight' && !config.tiedHead) continue;
    graph.output(`${GRADIENT_PREFIX}${name}`, 'float32', shape, tape.gradient(name));
  }
  if (trained === 'weights') graph.output(EMBEDDED_GRADIENT, 'float32', ['T', config.hidden], tape.gradient(embedded));
}

function rowInput(graph: Graph, name: string): TensorName {
  return graph.input(name, 'float32', ['R']);
}

function scalarInput(graph: Graph, name: string): TensorName {
  return graph.input(name, 'float32', []);
}

function rowSum(graph: Graph, x: TensorName): TensorName {
  return graph.op('ReduceSum', [x, graph.integers([1])], { keepdims: 0 });
}

function output(graph: Graph, name: string, tensor: TensorName): void {
  graph.output(name, 'float32', ['R'], tensor);
}
