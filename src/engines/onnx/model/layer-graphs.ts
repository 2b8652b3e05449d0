/**
 * The graphs of a model that is computed layer by layer. One graph serves all layers: its inputs carry the names of layer 0
 * and are fed with the parameters of whichever layer is computed.
 */
import { Tape } from './autodiff.ts';
import { GRADIENT_PREFIX, LOSSES, type LossName, outputGradients, READOUTS, type ReadoutName } from './losses.ts';
import type { ModelConfig } from './parameters.ts';
import {
  declareParameters,
  decoderLayer,
  isHeadParameter,
  languageHead,
  layerCommon,
  type Trained,
} from './transformer.ts';

/** Output of both backward graphs: the gradient by their input x. */
export const INPUT_GRADIENT = `${GRADIENT_PREFIX}x`;

const ofFirstLayer = (name: string) => name.includes('.layers.0.');

/** Inputs x [T, hidden], the levels (`layerCommon`), the layer's parameters. Output y [T, hidden]. */
export function layerForwardGraph(config: ModelConfig): Uint8Array {
  const tape = new Tape();
  const y = addLayer(tape, config, 'nothing');
  tape.graph.output('y', 'float32', ['T', config.hidden], y);
  return tape.graph.build();
}

/** The same computed again and differentiated. Input dy [T, hidden]; outputs: gradients of x and of what is trained. */
export function layerBackwardGraph(config: ModelConfig, trained: Trained): Uint8Array {
  const tape = new Tape();
  tape.track('x');
  const y = addLayer(tape, config, trained);
  tape.backward(y, tape.graph.input('dy', 'float32', ['T', config.hidden]));
  tape.graph.output(INPUT_GRADIENT, 'float32', ['T', config.hidden], tape.gradient('x'));
  outputGradients(tape, config, trained, ofFirstLayer);
  return tape.graph.build();
}

/**
 * Inputs x [R, hidden] (the last layer's rows), the head's parameters, what the loss reads. Outputs: the loss's rows, the
 * gradient of x, and those of the head's parameters unless an adapter is trained.
 */
export function headLossGraph(loss: LossName, config: ModelConfig, trained: Trained): Uint8Array {
  const tape = new Tape();
  tape.track('x');
  const ofHead = trained === 'weights' ? 'weights' : 'nothing';
  const logits = addHead(tape, config, ofHead);
  tape.backward(logits, LOSSES[loss](tape.graph, logits, config.vocabulary));
  tape.graph.output(INPUT_GRADIENT, 'float32', ['R', config.hidden], tape.gradient('x'));
  if (ofHead === 'weights') outputGradients(tape, config, ofHead, (name) => isHeadParameter(config, name));
  return tape.graph.build();
}

/** The head without gradients. */
export function headReadoutGraph(readout: ReadoutName, config: ModelConfig): Uint8Array {
  const tape = new Tape();
  READOUTS[readout](tape.graph, addHead(tape, config, 'nothing'), config.vocabulary);
  return tape.graph.build();
}

function addLayer(tape: Tape, config: ModelConfig, trained: Trained): string {
  const x = tape.graph.input('x', 'float32', ['T', config.hidden]);
  declareParameters(tape, config, trained, ofFirstLayer);
  return decoderLayer(tape, config, trained, layerCommon(tape.graph, config), x, 0);
}

function addHead(tape: Tape, config: ModelConfig, trained: Trained): string {
  const x = tape.graph.input('x', 'float32', ['R', config.hidden]);
  declareParameters(tape, config, trained, (name) => isHeadParameter(config, name));
  return languageHead(tape, config, x);
}
