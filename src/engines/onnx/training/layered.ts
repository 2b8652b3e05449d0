/**
 * A large model, layer by layer. Forward keeps each layer's input and, where there is memory to spare, the results of its products;
 * backward computes the rest of the layer again and differentiates it. The head runs over chunks of rows, so that a large vocabulary takes bounded memory: all losses
 * (divergences with their teacher) are sums over rows, so the chunks change nothing but rounding.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { floats } from '../../../onnx/session.ts';
import type { CallOptions } from '../../../policy/policy.ts';
import { type ComputationPlan, keptBytes, keptLimit } from '../memory.ts';
import {
  headLossGraph,
  headReadoutGraph,
  INPUT_GRADIENT,
  keptProducts,
  layerBackwardGraph,
  layerForwardGraph,
} from '../model/layer-graphs.ts';
import { GRADIENT_PREFIX, type LossName, type ReadoutName } from '../model/losses.ts';
import { layoutOf, type ModelConfig, type ParameterLayout, viewOf } from '../model/parameters.ts';
import { checkFinite } from './accumulate.ts';
import { Gradient } from './gradient.ts';
import type { MicroBatch } from './micro-batches.ts';
import {
  type Feeds,
  feedTensors,
  gradientLayoutOf,
  type Job,
  levelTensors,
  type ModelRunner,
  type Outputs,
  rowOutputs,
  SessionPool,
  type Task,
  type Tensors,
  type TrainedModel,
  tensorsOf,
  trainedOf,
} from './model-runner.ts';

/** What a loss reads, by the first and past the last row of a chunk. */
export type Chunk = readonly [from: number, to: number];

export class Layered implements ModelRunner {
  readonly #config: ModelConfig;
  readonly #layout: ParameterLayout;
  readonly #sessions: SessionPool;
  readonly #plan: Pick<ComputationPlan, 'rows' | 'kept'>;

  constructor(config: ModelConfig, threads: number, plan: Pick<ComputationPlan, 'rows' | 'kept'>) {
    this.#config = config;
    this.#layout = layoutOf(config);
    this.#sessions = new SessionPool(threads);
    this.#plan = plan;
  }

  async run(task: Task, { signal, onProgress }: CallOptions): Promise<Outputs[]> {
    const outputs: Outputs[] = [];
    const kept = new KeptResults(this.#config, keptLimit(this.#plan));
    for (const job of task.jobs) {
      signal?.throwIfAborted();
      outputs.push(
        await (task.kind === 'loss' ? this.#loss(task.loss, job, task.model, kept) : this.#readRows(task, job)),
      );
      onProgress?.(outputs.length, task.jobs.length);
    }
    signal?.throwIfAborted();
    return outputs;
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }

  async #loss(
    loss: LossName,
    { micro, feeds, teacher }: Job,
    model: TrainedModel,
    kept: KeptResults,
  ): Promise<Outputs> {
    const taught = teacher && (await this.#lastRows(model.frozen!, teacher.micro));
    const inputs: Float32Array[] = [];
    const last = await this.#lastRows(model.weights, micro, { visit: (x) => inputs.push(x), kept });

    const trained = trainedOf(model);
    const gradient = new Gradient(gradientLayoutOf(this.#config, model), model.gradient);
    const session = await this.#sessions.get(`head ${loss} ${JSON.stringify(trained)}`, () =>
      headLossGraph(loss, this.#config, trained),
    );
    const lastGradient = new Float32Array(last.length);
    const outputs = await overChunks(micro.rows, this.#plan.rows, async (chunk) => {
      const results = await session.run({
        ...this.#headFeeds(session, model.weights),
        ...cutFeeds(feeds, chunk),
        ...(taught && (await this.#taught(model.frozen!, taught, teacher.inverseTemperature, chunk))),
        x: this.#rowsOf(last, chunk),
      });
      const { [INPUT_GRADIENT]: dx, ...rest } = results;
      lastGradient.set(dx!.data as Float32Array, chunk[0] * this.#config.hidden);
      this.#addGradients(micro, rest, gradient, (name) => name);
      return rowOutputs(rest);
    });
    checkFinite(loss, micro, outputs);
    await this.#backward(micro, model, gradient, { inputs, kept }, lastGradient);
    return outputs;
  }

  async #readRows({ readout, weights }: Task & { kind: 'readout' }, { micro, feeds }: Job): Promise<Outputs> {
    const last = await this.#lastRows(weights, micro);
    return overChunks(micro.rows, this.#plan.rows, (chunk) =>
      this.#readout(readout, weights, this.#rowsOf(last, chunk), cutFeeds(feeds, chunk)),
    );
  }

  /**
   * The last layer's output at the selected rows, [R, hidden]. For the way back, `visit` sees the input of each layer, [T, hidden],
   * and what fits is kept.
   */
  async #lastRows(
    weights: Float32Array,
    micro: MicroBatch,
    back?: { readonly visit: (x: Float32Array) => void; readonly kept: KeptResults },
  ): Promise<Float32Array> {
    const { hidden, layers } = this.#config;
    const tokens = micro.levels.ids.length;
    const keeps = back?.kept.fits(tokens) ?? false;
    const session = await this.#sessions.get(`layer forward ${keeps}`, () =>
      layerForwardGraph(this.#config, { keeps }),
    );
    let x = gather(viewOf(this.#layout, weights, 'model.embed_tokens.weight'), micro.levels.ids, hidden);
    for (let layer = 0; layer < layers; layer++) {
      back?.visit(x);
      const feeds = {
        ...asFirstLayer(tensorsOf(this.#layout, weights), layer),
        ...levelTensors(micro.levels),
        x: floats(x, [tokens, hidden]),
      };
      const { y } = await session.run(feeds, { y: null, ...(keeps && back!.kept.of(layer, tokens)) });
      x = y!.data as Float32Array;
    }
    return gather(x, slotsOfRows(micro), hidden);
  }

  /** From the gradient of the last layer's selected rows down to the embedding. */
  async #backward(
    micro: MicroBatch,
    model: TrainedModel,
    gradient: Gradient,
    { inputs, kept }: { readonly inputs: Float32Array[]; readonly kept: KeptResults },
    rows: Float32Array,
  ): Promise<void> {
    const { hidden, layers } = this.#config;
    const { weights, adapter } = model;
    const trained = trainedOf(model);
    const tokens = micro.levels.ids.length;
    const keeps = kept.fits(tokens);
    const session = await this.#sessions.get(`layer backward ${keeps} ${JSON.stringify(trained)}`, () =>
      layerBackwardGraph(this.#config, trained, { keeps }),
    );
    let dy = scatter(rows, slotsOfRows(micro), tokens, hidden);
    for (let layer = layers - 1; layer >= 0; layer--) {
      const dims = [tokens, hidden];
      const { [INPUT_GRADIENT]: dx, ...rest } = await session.run({
        ...asFirstLayer(tensorsOf(this.#layout, weights), layer),
        ...(adapter && asFirstLayer(tensorsOf(gradient.layout, adapter.values), layer)),
        ...(keeps && kept.of(layer, tokens)),
        ...levelTensors(micro.levels),
        x: floats(inputs.pop()!, dims),
        dy: floats(dy, dims),
      });
      this.#addGradients(micro, rest, gradient, (name) => name.replace('.layers.0.', `.layers.${layer}.`));
      dy = dx!.data as Float32Array;
    }
    if (!adapter) gradient.addEmbedded(micro, dy, hidden);
  }

  #addGradients(
    micro: MicroBatch,
    results: InferenceSession.OnnxValueMapType,
    gradient: Gradient,
    nameOf: (name: string) => string,
  ): void {
    for (const [output, tensor] of Object.entries(results)) {
      if (!output.startsWith(GRADIENT_PREFIX)) continue;
      const { offset } = gradient.layout.byName.get(nameOf(output.slice(GRADIENT_PREFIX.length)))!;
      gradient.add(micro, (tensor as Tensor).data as Float32Array, offset);
    }
  }

  async #taught(weights: Float32Array, rows: Float32Array, inverseTemperature: number, chunk: Chunk): Promise<Tensors> {
    const { teacherLogprobs } = await this.#readout(
      'teacher',
      weights,
      this.#rowsOf(rows, chunk),
      feedTensors({ inverseTemperature }),
    );
    return { teacherLogprobs: floats(teacherLogprobs!, [chunk[1] - chunk[0], this.#config.vocabulary]) };
  }

  async #readout(readout: ReadoutName, weights: Float32Array, x: Tensor, feeds: Tensors): Promise<Outputs> {
    const session = await this.#sessions.get(`head ${readout}`, () => headReadoutGraph(readout, this.#config));
    return rowOutputs(await session.run({ ...this.#headFeeds(session, weights), ...feeds, x }));
  }

  #headFeeds(session: InferenceSession, weights: Float32Array): Tensors {
    const tensors = tensorsOf(this.#layout, weights);
    return Object.fromEntries(
      session.inputNames.filter((name) => name in tensors).map((name) => [name, tensors[name]!]),
    );
  }

  #rowsOf(rows: Float32Array, [from, to]: Chunk): Tensor {
    const { hidden } = this.#config;
    return floats(rows.subarray(from * hidden, to * hidden), [to - from, hidden]);
  }
}

/**
 * What the products of a micro-batch's layers give, kept from the way forward to the way back, where it takes no more than `limit`
 * bytes. The next micro-batch of a run writes into the same arrays: fresh ones are fresh pages of memory, at the time of copying them.
 */
class KeptResults {
  readonly #config: ModelConfig;
  readonly #limit: number;
  readonly #arrays = new Map<string, Float32Array>();

  constructor(config: ModelConfig, limit: number) {
    this.#config = config;
    this.#limit = limit;
  }

  fits(tokens: number): boolean {
    return keptBytes(this.#config, tokens) <= this.#limit;
  }

  /** The tensors of a layer: results of the graph forward, then inputs of the graph backward. */
  of(layer: number, tokens: number): Tensors {
    return Object.fromEntries(
      keptProducts(this.#config).map(({ name, columns }) => {
        const key = `${layer} ${name}`;
        let array = this.#arrays.get(key);
        if (array === undefined || array.length < tokens * columns) {
          array = new Float32Array(tokens * columns);
          this.#arrays.set(key, array);
        }
        return [name, floats(array.subarray(0, tokens * columns), [tokens, columns])];
      }),
    );
  }
}

/** Runs `work` on chunk after chunk of rows and joins the outputs. */
export async function overChunks(
  rows: number,
  chunkRows: number,
  work: (chunk: Chunk) => Promise<Outputs>,
): Promise<Outputs> {
  const joined: Record<string, Float32Array> = {};
  for (let from = 0; from < rows; from += chunkRows) {
    const to = Math.min(from + chunkRows, rows);
    const outputs = await work([from, to]);
    for (const [name, values] of Object.entries(outputs)) {
      const columns = values.length / (to - from);
      joined[name] ??= new Float32Array(rows * columns);
      joined[name].set(values, from * columns);
    }
  }
  return joined;
}

/** The tensors of one layer, under the names of layer 0. */
export function asFirstLayer(tensors: Tensors, layer: number): Tensors {
  const part = `.layers.${layer}.`;
  return Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.includes(part))
      .map(([name, tensor]) => [name.replace(part, '.layers.0.'), tensor]),
  );
}

/** The rows of a chunk of every input that has values a row; scalars as they are. */
export function cutFeeds(feeds: Feeds, [from, to]: Chunk): Tensors {
  const cut = (feed: Feeds[string]) => {
    if (typeof feed === 'number' || typeof feed === 'bigint') return feed;
    if (feed instanceof Float32Array || feed instanceof Float64Array) return feed.subarray(from, to);
    const { values, columns } = feed;
    return { values: values.subarray(from * columns, to * columns), columns };
  };
  return feedTensors(Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, cut(feed)])));
}

/** Row r of the result is row indices[r] of a matrix with `columns` columns. */
function gather(matrix: Float32Array, indices: Float64Array, columns: number): Float32Array {
  const rows = new Float32Array(indices.length * columns);
  for (const [r, index] of indices.entries())
    rows.set(matrix.subarray(index * columns, (index + 1) * columns), r * columns);
  return rows;
}

/** The other way round: a matrix of `count` rows, each the sum of those rows that name its index. */
function scatter(rows: Float32Array, indices: Float64Array, count: number, columns: number): Float32Array {
  const matrix = new Float32Array(count * columns);
  for (const [r, index] of indices.entries())
    for (let i = 0; i < columns; i++) matrix[index * columns + i]! += rows[r * columns + i]!;
  return matrix;
}

export function slotsOfRows({ slots, reads }: MicroBatch): Float64Array {
  return reads.map((read) => slots[read]!);
}
