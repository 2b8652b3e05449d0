/**
 * The graphs of a model that is computed layer by layer. One graph serves all layers: its inputs carry the names of layer 0
 * and are fed with the parameters of whichever layer is computed.
 *
 * Those for WebGPU take what gradients are added to, since gradients stay there, and the head picks its rows itself.
 */
import type { Device } from '../../../onnx/device.ts';
import type { Graph, TensorName } from '../../../onnx/graph.ts';
import { Tape } from './autodiff.ts';
import {
  GRADIENT_PREFIX,
  inputSums,
  LOSSES,
  type LossName,
  outputGradients,
  READOUTS,
  type ReadoutName,
  SUM_PREFIX,
} from './losses.ts';
import { LINEAR_LAYERS, type LinearLayer, linearShape, type ModelConfig } from './parameters.ts';
import {
  declareParameters,
  decoderLayer,
  isHeadParameter,
  type LayerCommon,
  languageHead,
  layerCommon,
  type Trained,
} from './transformer.ts';

/** Output of both backward graphs: the gradient by their input x. */
export const INPUT_GRADIENT = `${GRADIENT_PREFIX}x`;

const ofFirstLayer = (name: string) => name.includes('.layers.0.');

/**
 * What a layer's products give, [T, columns] each, by the name that it is kept under for the way back: all but the last, which the
 * next layer has for its input. What lies between the products is computed again, attention too.
 */
export function keptProducts(config: ModelConfig): { readonly name: TensorName; readonly columns: number }[] {
  return KEPT_LAYERS.map((layer) => ({ name: keptName(layer), columns: linearShape(config, layer)[0] }));
}

const KEPT_LAYERS: readonly LinearLayer[] = LINEAR_LAYERS.filter((layer) => layer !== 'mlp.down_proj');
const keptName = (layer: LinearLayer) => `result of ${layer}`;
const nameIfKept = (layer: LinearLayer) => (KEPT_LAYERS.includes(layer) ? keptName(layer) : undefined);

interface LayerGraphOptions {
  readonly device?: Device;
  /** Whether `keptProducts` go from the graph forward to the graph backward. */
  readonly keeps?: boolean;
}

/** Inputs x [T, hidden], the levels (`layerCommon`), the layer's parameters. Outputs y [T, hidden], and what is kept. */
export function layerForwardGraph(config: ModelConfig, { device, keeps }: LayerGraphOptions = {}): Graph {
  const tape = new Tape(device);
  const y = addLayer(tape, config, 'nothing', keeps && nameIfKept);
  tape.graph.output('y', 'float32', ['T', config.hidden], y);
  if (keeps) for (const { name, columns } of keptProducts(config)) tape.graph.output(name, 'float32', ['T', columns]);
  return tape.graph;
}

/**
 * The same computed again, but for what was kept, and differentiated. Input dy [T, hidden]; outputs: gradients of x and of what is
 * trained.
 */
export function layerBackwardGraph(
  config: ModelConfig,
  trained: Trained,
  { device, keeps }: LayerGraphOptions = {},
): Graph {
  const tape = new Tape(device);
  tape.track('x');
  if (keeps) for (const { name, columns } of keptProducts(config)) tape.graph.input(name, 'float32', ['T', columns]);
  const y = addLayer(tape, config, trained, keeps && nameIfKept);
  if (device === 'webgpu') inputSums(tape, config, trained, ofFirstLayer);
  tape.backward(y, tape.graph.input('dy', 'float32', ['T', config.hidden]));
  tape.graph.output(INPUT_GRADIENT, 'float32', ['T', config.hidden], tape.gradient('x'));
  outputGradients(tape, config, trained, ofFirstLayer);
  return tape.graph;
}

/**
 * Inputs x [R, hidden] (the last layer's rows), the head's parameters, what the loss reads. Outputs: the loss's rows, the
 * gradient of x, and those of the head's parameters unless an adapter is trained.
 *
 * On WebGPU x is [T, hidden], the last layer's output, `rows` says which are taken, and gradients are sums.
 */
export function headLossGraph(loss: LossName, config: ModelConfig, trained: Trained, device?: Device): Graph {
  const tape = new Tape(device);
  const ofHead = trained === 'weights' ? 'weights' : 'nothing';
  const isOfHead = (name: string) => isHeadParameter(config, name);
  const { logits, x } = addHead(tape, config, ofHead);
  if (device === 'webgpu' && ofHead === 'weights') inputSums(tape, config, ofHead, isOfHead);
  tape.backward(logits, LOSSES[loss](tape.graph, logits, config.vocabulary));
  const dx = device === 'webgpu' ? toAllRows(tape.graph, config, tape.gradient(x)) : tape.gradient(x);
  tape.graph.output(INPUT_GRADIENT, 'float32', [device === 'webgpu' ? 'T' : 'R', config.hidden], dx);
  if (ofHead === 'weights') outputGradients(tape, config, ofHead, isOfHead);
  return tape.graph;
}

/** The head without gradients. */
export function headReadoutGraph(readout: ReadoutName, config: ModelConfig, device?: Device): Graph {
  const tape = new Tape(device);
  READOUTS[readout](tape.graph, addHead(tape, config, 'nothing').logits, config.vocabulary);
  return tape.graph;
}

/**
 * The gradient of picked rows added to `sum of x` [T, hidden]: onehotᵀ dx, as a matrix product, since the same row may be picked several
 * times, and scattering would add in whatever order threads arrive. Inputs `row numbers` [1, R] and `slot numbers` [T, 1].
 */
function toAllRows(graph: Graph, { hidden }: ModelConfig, dx: TensorName): TensorName {
  const [row, slot] = [
    graph.input('row numbers', 'float32', [1, 'R']),
    graph.input('slot numbers', 'float32', ['T', 1]),
  ];
  const isPicked = graph.op('Cast', [graph.op('Equal', [slot, row])], { to: 1 });
  const sum = graph.input(`${SUM_PREFIX}x`, 'float32', ['T', hidden]);
  return graph.op('Add', [sum, graph.op('MatMul', [isPicked, dx])]);
}

function addLayer(
  tape: Tape,
  config: ModelConfig,
  trained: Trained,
  name?: LayerCommon['keptName'] | false,
): TensorName {
  const x = tape.graph.input('x', 'float32', ['T', config.hidden]);
  declareParameters(tape, config, trained, ofFirstLayer);
  const common = { ...layerCommon(tape, config), ...(name && { keptName: name }) };
  return decoderLayer(tape, config, trained, common, x, 0);
}

/** The logits, and the rows of x that they are of. */
function addHead(tape: Tape, config: ModelConfig, trained: Trained): { logits: TensorName; x: TensorName } {
  const { graph } = tape;
  const { hidden } = config;
  const x =
    graph.device === 'cpu'
      ? graph.input('x', 'float32', ['R', hidden])
      : graph.op('Gather', [graph.input('x', 'float32', ['T', hidden]), graph.input('rows', 'int64', ['R'])]);
  tape.track(x);
  declareParameters(tape, config, trained, (name) => isHeadParameter(config, name));
  return { logits: languageHead(tape, config, x), x };
}
