/**
 * Sampling on the GPU: a layer of the model over a cache of keys and values that stays there, and what follows the last layer.
 *
 * A run is a rectangle of N rows with Q new tokens each; T = N Q. The cache of a layer is [slots, K, D] for keys and for values, a slot a
 * position; which slots a row's positions have is said by a table [N, E]. Slot 0 belongs to nobody: padding is written and looked up there,
 * and what a token must not see is masked by its position. G query heads share each of K key-value heads.
 */
import { Graph, type TensorName } from '../../../onnx/graph.ts';
import { Tape } from './autodiff.ts';
import { product } from './device-forms.ts';
import type { ModelConfig } from './parameters.ts';
import {
  declareParameters,
  decoderLayer,
  isHeadParameter,
  isMultiplied,
  languageHead,
  rotaryTable,
} from './transformer.ts';

/** Bits of a weight that is multiplied: as training has it, or half of that where the GPU computes with 16-bit floats. */
export type DeviceDecodeBits = 32 | 16;

/** Finite, as in device-levels.ts. */
const NEVER = -1e30;

/**
 * What all layers of a run share, brought to the GPU once: `slots` [T, 1], where new keys and values go, `table` [N, E] and `positions`
 * [T, 1] as they are, and `mask` [N, 1, Q G, E] from `query positions` [N, 1, Q G, 1] and `key positions` [1, 1, 1, E].
 */
export function decodePlanGraph(): Graph {
  const graph = new Graph('webgpu');
  const same = (name: string, shape: readonly string[]) =>
    graph.output(name, 'int64', undefined, graph.input(`the ${name}`, 'int64', shape));
  same('slots', ['T', 'one']);
  same('table', ['N', 'E']);
  same('positions', ['T', 'one']);
  const query = graph.input('query positions', 'float32', ['N', 1, 'rows', 1]);
  const unseen = graph.op('Greater', [graph.input('key positions', 'float32', [1, 1, 1, 'E']), query]);
  graph.output('mask', 'float32', undefined, graph.op('Where', [unseen, graph.float(NEVER), graph.float(0)]));
  return graph;
}

/**
 * One layer, under the names of layer 0. Inputs: x [T, hidden], the layer's parameters, `keys` and `values`, what `decodePlanGraph` gives,
 * and `shape` [4] int64 = [N, Q, K, G D]. Outputs: y [T, hidden], `new keys` and `new values`, meant for the very memory of `keys` and
 * `values`: then new positions are written and nothing is copied.
 */
export function decodeLayerGraph(config: ModelConfig, bits: DeviceDecodeBits): Graph {
  const tape = new Tape('webgpu');
  const { graph } = tape;
  const { hidden, keyValueHeads, headSize } = config;
  const x = graph.input('x', 'float32', ['T', hidden]);
  declareParameters(tape, config, 'nothing', (name) => name.includes('.layers.0.'), typesIn(config, bits));
  const positions = graph.input('positions', 'int64', ['T', 1]);
  const slots = graph.input('slots', 'int64', ['T', 1]);
  const table = graph.input('table', 'int64', ['N', 'E']);
  const mask = graph.input('mask', 'float32', ['N', 1, 'rows', 'E']);
  const shape = graph.input('shape', 'int64', [4]);

  const cached = (name: string, own: TensorName) => {
    const cache = graph.input(name, 'float32', ['slots', keyValueHeads, headSize]);
    const written = graph.op('ScatterND', [cache, slots, own], {}, { outputs: [`new ${name}`] });
    graph.output(written, 'float32', ['slots', keyValueHeads, headSize]);
    // [N, E, K, D] to [N, K, E, D]
    return graph.op('Transpose', [graph.op('Gather', [written, table])], { perm: [0, 2, 1, 3] });
  };
  const attend = (q: TensorName, k: TensorName, v: TensorName) => {
    // [N, Q, K, G D] to [N, K, Q G, D]
    const byRow = graph.op('Transpose', [graph.op('Reshape', [q, shape])], { perm: [0, 2, 1, 3] });
    const queries = graph.op('Reshape', [byRow, graph.integers([0, 0, -1, headSize])]);
    const scores = product(graph, queries, cached('keys', k), { transposeB: 4, scale: 1 / Math.sqrt(headSize) });
    const p = graph.op('Softmax', [graph.op('Add', [scores, mask])], { axis: -1 });
    const o = graph.op('MatMul', [p, cached('values', v)]);
    const width = (config.heads / keyValueHeads) * headSize;
    const byToken = graph.op('Transpose', [graph.op('Reshape', [o, graph.integers([0, 0, -1, width])])], {
      perm: [0, 2, 1, 3],
    });
    return graph.op('Reshape', [byToken, graph.integers([-1, keyValueHeads, width])]);
  };
  const y = decoderLayer(tape, config, 'nothing', { table: rotaryTable(graph, config), positions, attend }, x, 0);
  graph.output('y', 'float32', ['T', hidden], y);
  return graph;
}

/** Inputs: x [T, hidden], `rows` [R], `temperature` [R, 1], the head's parameters. Output: `probabilities` [R, V]. */
export function drawGraph(config: ModelConfig, bits: DeviceDecodeBits): Graph {
  const tape = new Tape('webgpu');
  const { graph } = tape;
  const rows = graph.input('rows', 'int64', ['R']);
  const x = graph.op('Gather', [graph.input('x', 'float32', ['T', config.hidden]), rows]);
  declareParameters(tape, config, 'nothing', (name) => isHeadParameter(config, name), typesIn(config, bits));
  const scaled = graph.op('Div', [languageHead(tape, config, x), graph.input('temperature', 'float32', ['R', 1])]);
  graph.output('probabilities', 'float32', ['R', config.vocabulary], graph.op('Softmax', [scaled], { axis: 1 }));
  return graph;
}

const typesIn = (config: ModelConfig, bits: DeviceDecodeBits) => (name: string) =>
  bits === 16 && isMultiplied(config, name) ? 'float16' : 'float32';

/** A matrix `w` in 16 bits. */
export function narrowGraph(): Graph {
  const graph = new Graph('webgpu');
  const w = graph.input('w', 'float32', ['out', 'in']);
  graph.output('narrow', 'float16', ['out', 'in'], graph.cast(w, 'float16'));
  return graph;
}

/** Makes a cache longer: `cache` [slots, K, D] with `more` [1] slots of zeros behind it. */
export function growGraph({ keyValueHeads, headSize }: ModelConfig): Graph {
  const graph = new Graph('webgpu');
  const cache = graph.input('cache', 'float32', ['slots', keyValueHeads, headSize]);
  const size = graph.op('Concat', [graph.input('more', 'int64', [1]), graph.integers([keyValueHeads, headSize])], {
    axis: 0,
  });
  const zeros = graph.op('Expand', [graph.float(0), size]);
  graph.output(
    'longer',
    'float32',
    ['longer', keyValueHeads, headSize],
    graph.op('Concat', [cache, zeros], { axis: 0 }),
  );
  return graph;
}
