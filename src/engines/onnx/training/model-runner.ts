/**
 * What computes micro-batches: the whole model in one graph, on as many threads as there are (data-parallel.ts), or, where that would
 * take too much memory, layer by layer with each layer computed again on the way back (layered.ts). Both give the same numbers
 * up to rounding.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Graph } from '../../../onnx/graph.ts';
import { createSession, floats, integers, type SessionOptions } from '../../../onnx/session.ts';
import type { SharedFloats } from '../../../onnx/shared-floats.ts';
import type { CallOptions } from '../../../policy/policy.ts';
import { GRADIENT_PREFIX, type LossName } from '../model/losses.ts';
import { adapterLayoutOf, layoutOf, type ModelConfig, type ParameterLayout, viewOf } from '../model/parameters.ts';
import type { Levels } from '../model/prefix-tree.ts';
import type { Trained } from '../model/transformer.ts';
import type { MicroBatch } from './micro-batches.ts';

/** What a run gives for a micro-batch: float32 arrays by name, [R] (the likeliest tokens: [R, k]; the teacher's: [R, V]). */
export type Outputs = Readonly<Record<string, Float32Array>>;
/** Values of every row, [R], or [R, columns]; whole numbers as Float64Array, int64 in the graph. */
type RowValues = Float32Array | Float64Array;
/** Inputs of a loss or readout by name: values a row, a scalar, or a whole number, [1]. */
export type Feeds = Readonly<
  Record<string, RowValues | { readonly values: RowValues; readonly columns: number } | number | bigint>
>;
export type Tensors = Readonly<Record<string, Tensor>>;

/** The teacher's side of a micro-batch of pairs: row r predicts the same token as row r of the student's. */
export interface Teacher {
  readonly micro: MicroBatch;
  readonly inverseTemperature: number;
}

/** A micro-batch and what is computed with it. */
export interface Job {
  readonly micro: MicroBatch;
  readonly feeds: Feeds;
  /** Of divergences. */
  readonly teacher?: Teacher;
}

/** A model in training. */
export interface TrainedModel {
  /** Flat, as `layoutOf` says, with the adapter added. */
  readonly weights: SharedFloats;
  /** The teacher's. */
  readonly frozen?: SharedFloats;
  readonly adapter?: { readonly rank: number; readonly scale: number; readonly values: SharedFloats };
  /** Of the adapter when there is one, else of the weights; what is computed is added to it. */
  readonly gradient: SharedFloats;
}

/** Plain data over shared memory: it can be given to another thread. */
export type Task =
  /** Forward and backward. */
  | { readonly kind: 'loss'; readonly loss: LossName; readonly jobs: readonly Job[]; readonly model: TrainedModel }
  /** Forward alone. */
  | {
      readonly kind: 'readout';
      readonly readout: 'logprobs' | 'top-logprobs';
      readonly jobs: readonly Job[];
      readonly weights: SharedFloats;
    };

export interface ModelRunner {
  /**
   * The outputs of all jobs, in their order, which is also the order in which gradients are added.
   * @throws the first error in that order, or the signal's reason; some gradients may have been added by then
   */
  run(task: Task, watch: CallOptions): Promise<Outputs[]>;
  /** Releases the sessions. */
  close(): Promise<void>;
}

export function trainedOf({ adapter }: TrainedModel): Trained {
  return adapter ? { adapterScale: adapter.scale } : 'weights';
}

/** How the gradient is laid out. */
export function gradientLayoutOf(config: ModelConfig, { adapter }: TrainedModel): ParameterLayout {
  return adapter ? adapterLayoutOf(config, adapter.rank) : layoutOf(config);
}

/** Sessions, opened when first asked for and kept. */
export class SessionPool {
  readonly #sessions = new Map<string, Promise<InferenceSession>>();
  readonly #threads: number;
  readonly #keepsMemory: boolean | undefined;

  constructor(threads: number, { keepsMemory }: Pick<SessionOptions, 'keepsMemory'> = {}) {
    this.#threads = threads;
    this.#keepsMemory = keepsMemory;
  }

  /**
   * `build` makes the graph; `key` names it, together with what it depends on. Of a graph for WebGPU, outputs stay on the GPU
   * unless they are among those that `reads` names.
   */
  get(key: string, build: () => Graph, reads: (output: string) => boolean = () => false): Promise<InferenceSession> {
    let session = this.#sessions.get(key);
    if (!session) {
      const graph = build();
      const { device } = graph;
      const resident = device === 'cpu' ? [] : graph.outputs.filter((name) => !reads(name));
      session = createSession(graph.build(), this.#threads, { device, resident, keepsMemory: this.#keepsMemory });
      this.#sessions.set(key, session);
      // One that could not be opened, for lack of memory, may be opened later.
      session.catch(() => this.#sessions.delete(key));
    }
    return session;
  }

  async close(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of sessions) await (await session).release();
  }
}

const tensors = new WeakMap<Float32Array, Tensors>();

/** Tensors over the parts of a flat array, which is always laid out in the same way, by their parameters' names. */
export function tensorsOf(layout: ParameterLayout, flat: Float32Array): Tensors {
  let made = tensors.get(flat);
  if (!made) {
    made = Object.fromEntries(
      layout.entries.map(({ name, shape }) => [name, floats(viewOf(layout, flat, name), shape)]),
    );
    tensors.set(flat, made);
  }
  return made;
}

export function feedTensors(feeds: Feeds): Tensors {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, feed]) => {
      if (typeof feed === 'number') return [name, floats(Float32Array.of(feed), [])];
      if (typeof feed === 'bigint') return [name, integers(Float64Array.of(Number(feed)), [1])];
      const { values, columns } = 'values' in feed && 'columns' in feed ? feed : { values: feed, columns: undefined };
      const dims = columns === undefined ? [values.length] : [values.length / columns, columns];
      return [name, values instanceof Float64Array ? integers(values, dims) : floats(values, dims)];
    }),
  );
}

/** What `layerCommon` (transformer.ts) declares. */
export function levelTensors({ counts, lengths, parents, positions }: Levels): Tensors {
  return {
    ...feedTensors({ counts, lengths, parents }),
    positions: integers(positions, [positions.length, 1]),
  };
}

/** The outputs that are not gradients. */
export function rowOutputs(results: Readonly<Record<string, unknown>>): Outputs {
  return Object.fromEntries(
    Object.entries(results)
      .filter(([name]) => !name.startsWith(GRADIENT_PREFIX))
      .map(([name, tensor]) => [name, (tensor as Tensor).data as Float32Array]),
  );
}
