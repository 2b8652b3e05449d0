/** LoRA (Hu et al., 2021) on every linear layer of the blocks: W + (alpha / rank) B A. */
import { Random } from '../../../base/random.ts';
import type { Device } from '../../../onnx/device.ts';
import { Graph } from '../../../onnx/graph.ts';
import { floats } from '../../../onnx/session.ts';
import type { AdapterConfig } from '../../../policy/policy.ts';
import {
  adapterLayoutOf,
  adapterNames,
  LINEAR_LAYERS,
  layoutOf,
  linearShape,
  type ModelConfig,
  type ParameterLayout,
  viewOf,
} from '../model/parameters.ts';
import { SessionPool } from './model-runner.ts';

export interface AdapterState {
  readonly rank: number;
  readonly alpha: number;
  /** As `adapterLayoutOf` lays it out. */
  readonly values: Float32Array;
}

/** A ~ normal(0, 1/√in) drawn from the key in the order of the layout; B = 0, so that the model starts unchanged. */
export function freshAdapter(config: ModelConfig, { rank, key }: AdapterConfig): Float32Array {
  const layout = adapterLayoutOf(config, rank);
  const values = new Float32Array(layout.total);
  const random = new Random(key);
  for (const { name, shape } of layout.entries) {
    if (!name.endsWith('lora_A.weight')) continue;
    const deviation = 1 / Math.sqrt(shape[1]!);
    const matrix = viewOf(layout, values, name);
    for (let i = 0; i < matrix.length; i++) matrix[i] = deviation * random.normal();
  }
  return values;
}

/** Adds adapters to weights: W + scale B A of every linear layer, one matrix product each. */
export class AdapterMerge {
  readonly #config: ModelConfig;
  readonly #layout: ParameterLayout;
  readonly #sessions: SessionPool;

  constructor(config: ModelConfig, threads: number) {
    this.#config = config;
    this.#layout = layoutOf(config);
    this.#sessions = new SessionPool(threads);
  }

  /** Writes weights + scale B A into `target`, which is as long as `weights` and not the same array. */
  async add(weights: Float32Array, { rank, alpha, values }: AdapterState, target: Float32Array): Promise<void> {
    target.set(weights);
    const session = await this.#sessions.get(`scale ${alpha / rank}`, () => mergeGraph(alpha / rank));
    const adapter = adapterLayoutOf(this.#config, rank);
    for (let layer = 0; layer < this.#config.layers; layer++) {
      for (const linear of LINEAR_LAYERS) {
        const names = adapterNames(layer, linear);
        const name = `model.layers.${layer}.${linear}.weight`;
        const [out, columns] = linearShape(this.#config, linear);
        await session.run(
          {
            w: floats(viewOf(this.#layout, weights, name), [out, columns]),
            a: floats(viewOf(adapter, values, names.a), [rank, columns]),
            b: floats(viewOf(adapter, values, names.b), [out, rank]),
          },
          { merged: floats(viewOf(this.#layout, target, name), [out, columns]) },
        );
      }
    }
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }
}

/** W + scale B A. */
export function mergeGraph(scale: number, device?: Device): Graph {
  const graph = new Graph(device);
  const w = graph.input('w', 'float32', ['out', 'in']);
  const a = graph.input('a', 'float32', ['rank', 'in']);
  const b = graph.input('b', 'float32', ['out', 'rank']);
  graph.output('merged', 'float32', ['out', 'in'], graph.op('Gemm', [b, a, w], { alpha: { float: scale } }));
  return graph;
}
