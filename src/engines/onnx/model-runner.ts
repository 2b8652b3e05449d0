/**
 * What computes micro-batches: the whole model in one graph (whole-graph.ts), or, where that would take too much memory,
 * layer by layer with each layer computed again on the way back (layered.ts). Both give the same numbers up to rounding.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Gradient } from './gradient.ts';
import { GRADIENT_PREFIX, type LossName } from './losses.ts';
import type { MicroBatch } from './micro-batches.ts';
import { type ParameterLayout, viewOf } from './parameters.ts';
import { createSession, floats } from './session.ts';
import type { Trained } from './transformer.ts';

/** What a run gives for a micro-batch: float32 tensors by name, [R] (the teacher's: [R, V]). */
export type Outputs = Readonly<Record<string, Float32Array>>;
/** Inputs of a loss or readout by name: [R] or scalars. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** A model in training. */
export interface TrainedModel {
  /** Flat, as `layoutOf` says, with the adapter added. */
  readonly weights: Float32Array;
  readonly adapter?: { readonly layout: ParameterLayout; readonly values: Float32Array; readonly scale: number };
  /** Of the adapter when there is one, else of the weights. */
  readonly gradient: Gradient;
}

/** The teacher's side of a micro-batch of pairs: row r predicts the same token as row r of the student's. */
export interface Teacher {
  readonly weights: Float32Array;
  readonly micro: MicroBatch;
  readonly inverseTemperature: Tensor;
}

export interface ModelRunner {
  /** Forward and backward; adds to `model.gradient`. A divergence needs a teacher. */
  loss(loss: LossName, micro: MicroBatch, feeds: Feeds, model: TrainedModel, teacher?: Teacher): Promise<Outputs>;
  /** Forward alone: log π of the fed `targets`. */
  logprobs(micro: MicroBatch, feeds: Feeds, weights: Float32Array): Promise<Outputs>;
  /** Releases the sessions. */
  close(): Promise<void>;
}

export function trainedOf({ adapter }: TrainedModel): Trained {
  return adapter ? { adapterScale: adapter.scale } : 'weights';
}

/** Sessions, opened when first asked for and kept. */
export class SessionPool {
  readonly #sessions = new Map<string, Promise<InferenceSession>>();
  readonly #threads: number;

  constructor(threads: number) {
    this.#threads = threads;
  }

  /** `build` makes the model; `key` names it, together with what it depends on. */
  get(key: string, build: () => Uint8Array): Promise<InferenceSession> {
    let session = this.#sessions.get(key);
    if (!session) {
      session = createSession(build(), this.#threads);
      this.#sessions.set(key, session);
    }
    return session;
  }

  async close(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of sessions) await (await session).release();
  }
}

const tensors = new WeakMap<Float32Array, Readonly<Record<string, Tensor>>>();

/** Tensors over the parts of a flat array, which is always laid out in the same way, by their parameters' names. */
export function tensorsOf(layout: ParameterLayout, flat: Float32Array): Readonly<Record<string, Tensor>> {
  let made = tensors.get(flat);
  if (!made) {
    made = Object.fromEntries(
      layout.entries.map(({ name, shape }) => [name, floats(viewOf(layout, flat, name), shape)]),
    );
    tensors.set(flat, made);
  }
  return made;
}

/** The outputs that are not gradients. */
export function rowOutputs(results: Readonly<Record<string, unknown>>): Outputs {
  return Object.fromEntries(
    Object.entries(results)
      .filter(([name]) => !name.startsWith(GRADIENT_PREFIX))
      .map(([name, tensor]) => [name, (tensor as Tensor).data as Float32Array]),
  );
}
