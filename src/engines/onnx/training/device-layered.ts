/**
 * A model on the GPU, always layer by layer (layered.ts: each layer's input is kept, the layer computed again on the way back): it
 * takes the least memory there, and one graph serves all layers. Weights, activations and gradients stay on the GPU; what comes to
 * the host is what a loss says of its rows, and what goes there are ids, positions and a loss's streams.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { letGo, type Transfers } from '../../../onnx/resident.ts';
import { floats, integers } from '../../../onnx/session.ts';
import type { CallOptions } from '../../../policy/policy.ts';
import { embeddingGradientGraph, embeddingGraph } from '../model/device-graphs.ts';
import { levelNumbers, levelSizes, levelsGraph } from '../model/device-levels.ts';
import {
  headLossGraph,
  headReadoutGraph,
  INPUT_GRADIENT,
  layerBackwardGraph,
  layerForwardGraph,
} from '../model/layer-graphs.ts';
import { GRADIENT_PREFIX, type LossName, type ReadoutName, SUM_PREFIX } from '../model/losses.ts';
import type { ModelConfig } from '../model/parameters.ts';
import type { Trained } from '../model/transformer.ts';
import { checkFinite } from './accumulate.ts';
import { asFirstLayer, type Chunk, cutFeeds, overChunks, slotsOfRows } from './layered.ts';
import type { MicroBatch } from './micro-batches.ts';
import { type Job, type Outputs, rowOutputs, SessionPool, type Tensors } from './model-runner.ts';

/** A model in training, its tensors by their parameters' names. */
export interface DeviceModel {
  /** With the adapter added. */
  readonly weights: Tensors;
  readonly frozen: Tensors | undefined;
  /** The adapter's matrices. */
  readonly adapter: Tensors | undefined;
  readonly trained: Trained;
  /** What gradients are added to: each is taken out, and the sum put in its place. */
  readonly gradient: GradientSums;
}

export interface GradientSums {
  /** The sum so far. It is the caller's to free. */
  take(name: string): Promise<Tensor>;
  put(name: string, sum: Tensor): void;
}

export type DeviceTask =
  | { readonly kind: 'loss'; readonly loss: LossName; readonly jobs: readonly Job[]; readonly model: DeviceModel }
  | {
      readonly kind: 'readout';
      readonly readout: 'logprobs' | 'top-logprobs';
      readonly jobs: readonly Job[];
      readonly weights: Tensors;
    };

const EMBEDDING = 'model.embed_tokens.weight';
const ofGradients = (name: string) => name.startsWith(GRADIENT_PREFIX);

export class DeviceLayered {
  readonly #config: ModelConfig;
  readonly #chunkRows: number;
  readonly #transfers: Transfers;
  readonly #sessions = new SessionPool(1);

  /** @param chunkRows rows of logits at a time */
  constructor(config: ModelConfig, chunkRows: number, transfers: Transfers) {
    this.#config = config;
    this.#chunkRows = chunkRows;
    this.#transfers = transfers;
  }

  async run(task: DeviceTask, { signal, onProgress }: CallOptions): Promise<Outputs[]> {
    const outputs: Outputs[] = [];
    for (const job of task.jobs) {
      signal?.throwIfAborted();
      const scratch = new Scratch();
      try {
        outputs.push(
          await (task.kind === 'loss'
            ? this.#loss(task.loss, job, task.model, scratch)
            : this.#readRows(task, job, scratch)),
        );
      } finally {
        await scratch.end();
      }
      onProgress?.(outputs.length, task.jobs.length);
    }
    signal?.throwIfAborted();
    return outputs;
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }

  async #loss(loss: LossName, { micro, feeds, teacher }: Job, model: DeviceModel, scratch: Scratch): Promise<Outputs> {
    const taught = teacher && (await this.#lastLayer(model.frozen!, teacher.micro, scratch));
    const inputs: Tensor[] = [];
    const levels = await this.#levels(micro, scratch);
    const x = await this.#forward(model.weights, micro, levels, scratch, inputs);

    const { trained } = model;
    const session = await this.#sessions.get(
      `head ${loss} ${JSON.stringify(trained)}`,
      () => headLossGraph(loss, this.#config, trained, 'webgpu'),
      (output) => !ofGradients(output),
    );
    const [tokens, slots] = [micro.levels.ids.length, slotsOfRows(micro)];
    const slotNumbers = floats(
      Float32Array.from({ length: tokens }, (_, slot) => slot),
      [tokens, 1],
    );
    let dx = scratch.add(await this.#transfers.zeros([tokens, this.#config.hidden]));
    const outputs = await overChunks(micro.rows, this.#chunkRows, async (chunk) => {
      const teaching = taught && (await this.#taught(model.frozen!, taught, teacher, chunk, scratch));
      const results = await this.#adding(session, model.gradient, scratch, (name) => name, {
        ...this.#headFeeds(session, model.weights),
        ...cutFeeds(feeds, chunk),
        ...(teaching && { teacherLogprobs: teaching }),
        ...rowsOf(slots, chunk),
        'row numbers': floats(Float32Array.from(slots.subarray(...chunk)), [1, chunk[1] - chunk[0]]),
        'slot numbers': slotNumbers,
        [`${SUM_PREFIX}x`]: dx,
        x,
      });
      await scratch.free(dx, ...(teaching ? [teaching] : []));
      dx = scratch.add(results[INPUT_GRADIENT] as Tensor);
      return rowOutputs(results);
    });
    checkFinite(loss, micro, outputs);
    await this.#backward(micro, model, levels, inputs, dx, scratch);
    return outputs;
  }

  async #readRows(
    { readout, weights }: DeviceTask & { kind: 'readout' },
    { micro, feeds }: Job,
    scratch: Scratch,
  ): Promise<Outputs> {
    const x = await this.#lastLayer(weights, micro, scratch);
    const session = await this.#readout(readout);
    const slots = slotsOfRows(micro);
    return overChunks(micro.rows, this.#chunkRows, async (chunk) =>
      rowOutputs(
        await session.run({
          ...this.#headFeeds(session, weights),
          ...cutFeeds(feeds, chunk),
          ...rowsOf(slots, chunk),
          x,
        }),
      ),
    );
  }

  /** The last layer's output, [T, hidden]. */
  async #lastLayer(weights: Tensors, micro: MicroBatch, scratch: Scratch): Promise<Tensor> {
    return this.#forward(weights, micro, await this.#levels(micro, scratch), scratch);
  }

  /** @param kept given: the input of each layer is put in here, and not freed */
  async #forward(
    weights: Tensors,
    micro: MicroBatch,
    levels: Tensors,
    scratch: Scratch,
    kept?: Tensor[],
  ): Promise<Tensor> {
    const lookUp = await this.#sessions.get('embedding', () => embeddingGraph(this.#config));
    const { ids } = micro.levels;
    const embedded = await lookUp.run({ embedding: weights[EMBEDDING]!, ids: integers(ids, [ids.length]) });
    let x = scratch.add(embedded.x as Tensor);
    const session = await this.#sessions.get('layer forward', () =>
      layerForwardGraph(this.#config, { device: 'webgpu' }),
    );
    for (let layer = 0; layer < this.#config.layers; layer++) {
      const { y } = await session.run({ ...asFirstLayer(weights, layer), ...levels, x });
      if (kept) kept.push(x);
      else await scratch.free(x);
      x = scratch.add(y as Tensor);
    }
    return x;
  }

  /** From the gradient of the last layer's output down to the embedding. */
  async #backward(
    micro: MicroBatch,
    { weights, adapter, trained, gradient }: DeviceModel,
    levels: Tensors,
    inputs: Tensor[],
    last: Tensor,
    scratch: Scratch,
  ): Promise<void> {
    const session = await this.#sessions.get(`layer backward ${JSON.stringify(trained)}`, () =>
      layerBackwardGraph(this.#config, trained, { device: 'webgpu' }),
    );
    let dy = last;
    for (let layer = this.#config.layers - 1; layer >= 0; layer--) {
      const x = inputs.pop()!;
      const nameOf = (name: string) => name.replace('.layers.0.', `.layers.${layer}.`);
      const results = await this.#adding(session, gradient, scratch, nameOf, {
        ...asFirstLayer(weights, layer),
        ...(adapter && asFirstLayer(adapter, layer)),
        ...levels,
        x,
        dy,
      });
      await scratch.free(x, dy);
      dy = scratch.add(results[INPUT_GRADIENT] as Tensor);
    }
    if (!adapter) await this.#addEmbedded(micro, gradient, dy, scratch);
  }

  /** The gradient of looked-up embeddings goes to the embedding's rows. */
  async #addEmbedded(micro: MicroBatch, gradient: GradientSums, dx: Tensor, scratch: Scratch): Promise<void> {
    const session = await this.#sessions.get('embedding gradient', () => embeddingGradientGraph(this.#config));
    const { ids } = micro.levels;
    const distinct = Float64Array.from(new Set(ids));
    const sum = scratch.add(await gradient.take(EMBEDDING));
    const { total } = await session.run({
      sum,
      dx,
      distinct: integers(distinct, [distinct.length, 1]),
      'distinct numbers': floats(Float32Array.from(distinct), [distinct.length, 1]),
      'id numbers': floats(Float32Array.from(ids), [1, ids.length]),
    });
    gradient.put(EMBEDDING, total as Tensor);
  }

  /** Runs a graph that adds gradients to sums: takes those that it declares, and puts back what it gives out. */
  async #adding(
    session: InferenceSession,
    gradient: GradientSums,
    scratch: Scratch,
    nameOf: (name: string) => string,
    feeds: Tensors,
  ): Promise<InferenceSession.OnnxValueMapType> {
    const sums: Record<string, Tensor> = {};
    for (const input of session.inputNames)
      if (input.startsWith(SUM_PREFIX) && !(input in feeds))
        sums[input] = scratch.add(await gradient.take(nameOf(input.slice(SUM_PREFIX.length))));
    const results = await session.run({ ...feeds, ...sums });
    for (const [output, tensor] of Object.entries(results))
      if (ofGradients(output) && output !== INPUT_GRADIENT)
        gradient.put(nameOf(output.slice(GRADIENT_PREFIX.length)), tensor as Tensor);
    await scratch.free(...Object.values(sums));
    return results;
  }

  /** The teacher's log-probabilities of a chunk of rows, [rows, V]. */
  async #taught(
    weights: Tensors,
    x: Tensor,
    { micro, inverseTemperature }: NonNullable<Job['teacher']>,
    chunk: Chunk,
    scratch: Scratch,
  ): Promise<Tensor> {
    const session = await this.#readout('teacher');
    const { teacherLogprobs } = await session.run({
      ...this.#headFeeds(session, weights),
      ...rowsOf(slotsOfRows(micro), chunk),
      inverseTemperature: floats(Float32Array.of(inverseTemperature), []),
      x,
    });
    return scratch.add(teacherLogprobs as Tensor);
  }

  #readout(readout: ReadoutName): Promise<InferenceSession> {
    return this.#sessions.get(
      `head ${readout}`,
      () => headReadoutGraph(readout, this.#config, 'webgpu'),
      () => readout !== 'teacher',
    );
  }

  #headFeeds(session: InferenceSession, weights: Tensors): Tensors {
    return Object.fromEntries(
      session.inputNames.filter((name) => name in weights).map((name) => [name, weights[name]!]),
    );
  }

  /** What the layers are fed besides parameters and x; masks stay on the GPU for all of them. */
  async #levels({ levels }: MicroBatch, scratch: Scratch): Promise<Tensors> {
    const session = await this.#sessions.get('levels', levelsGraph);
    const made = (await session.run(levelNumbers(levels, this.#config))) as Tensors;
    for (const tensor of Object.values(made)) scratch.add(tensor);
    return { ...levelSizes(levels, this.#config), ...made };
  }
}

function rowsOf(slots: Float64Array, [from, to]: Chunk): { rows: Tensor } {
  return { rows: integers(slots.subarray(from, to), [to - from]) };
}

/** Tensors on the GPU that a piece of work has made, freed at its end at the latest. */
class Scratch {
  readonly #tensors = new Set<Tensor>();

  add(tensor: Tensor): Tensor {
    this.#tensors.add(tensor);
    return tensor;
  }

  async free(...tensors: Tensor[]): Promise<void> {
    for (const tensor of tensors) this.#tensors.delete(tensor);
    await letGo(tensors);
  }

  end(): Promise<void> {
    return this.free(...this.#tensors);
  }
}
