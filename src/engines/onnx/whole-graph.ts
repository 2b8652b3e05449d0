/** The whole model, forward and backward, as one graph: fastest, and every activation is held until the way back. */
import type { Tensor } from 'onnxruntime-node';
import { checkFinite } from './accumulate.ts';
import {
  EMBEDDED_GRADIENT,
  GRADIENT_PREFIX,
  type LossName,
  lossGraph,
  type ReadoutName,
  readoutGraph,
} from './losses.ts';
import { flatRows, type MicroBatch, paddedIds } from './micro-batches.ts';
import {
  type Feeds,
  type ModelRunner,
  type Outputs,
  rowOutputs,
  SessionPool,
  type Teacher,
  type TrainedModel,
  tensorsOf,
  trainedOf,
} from './model-runner.ts';
import { layoutOf, type ModelConfig, type ParameterLayout } from './parameters.ts';
import { floats, integers } from './session.ts';

export class WholeGraph implements ModelRunner {
  readonly #config: ModelConfig;
  readonly #layout: ParameterLayout;
  readonly #sessions: SessionPool;
  /** Written by each run, then added to the gradient. */
  #micro: { readonly layout: ParameterLayout; readonly values: Float32Array } | undefined;

  constructor(config: ModelConfig, threads: number) {
    this.#config = config;
    this.#layout = layoutOf(config);
    this.#sessions = new SessionPool(threads);
  }

  async loss(
    loss: LossName,
    micro: MicroBatch,
    feeds: Feeds,
    model: TrainedModel,
    teacher?: Teacher,
  ): Promise<Outputs> {
    const taught = teacher && (await this.#taught(teacher));
    const trained = trainedOf(model);
    const session = await this.#sessions.get(`${loss} ${JSON.stringify(trained)}`, () =>
      lossGraph(loss, this.#config, trained),
    );
    const { adapter, gradient } = model;
    if (this.#micro?.layout !== gradient.layout)
      this.#micro = { layout: gradient.layout, values: new Float32Array(gradient.layout.total) };
    const gradients = tensorsOf(gradient.layout, this.#micro.values);
    const fetches: Record<string, Tensor | null> = {};
    for (const name of session.outputNames)
      fetches[name] = name.startsWith(GRADIENT_PREFIX) ? (gradients[name.slice(GRADIENT_PREFIX.length)] ?? null) : null;
    const results = await session.run(
      {
        ...tensorsOf(this.#layout, model.weights),
        ...(adapter && tensorsOf(adapter.layout, adapter.values)),
        ...batchFeeds(micro),
        ...feeds,
        ...taught,
      },
      fetches,
    );
    const outputs = rowOutputs(results);
    checkFinite(loss, micro, outputs);
    const embedded = results[EMBEDDED_GRADIENT];
    if (embedded) gradient.addEmbedded(micro, embedded.data as Float32Array, this.#config.hidden);
    gradient.add(micro, this.#micro.values, 0);
    return outputs;
  }

  logprobs(micro: MicroBatch, feeds: Feeds, weights: Float32Array): Promise<Outputs> {
    return this.#readout('logprobs', micro, feeds, weights);
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }

  async #taught({ micro, inverseTemperature, weights }: Teacher): Promise<Feeds> {
    const { teacherLogprobs } = await this.#readout('teacher', micro, { inverseTemperature }, weights);
    return { teacherLogprobs: floats(teacherLogprobs!, [micro.rows, this.#config.vocabulary]) };
  }

  async #readout(readout: ReadoutName, micro: MicroBatch, feeds: Feeds, weights: Float32Array): Promise<Outputs> {
    const session = await this.#sessions.get(readout, () => readoutGraph(readout, this.#config));
    return rowOutputs(await session.run({ ...tensorsOf(this.#layout, weights), ...batchFeeds(micro), ...feeds }));
  }
}

function batchFeeds(micro: MicroBatch): Feeds {
  return {
    ids: integers(paddedIds(micro), [micro.work.length, micro.length]),
    rows: integers(flatRows(micro), [micro.rows]),
  };
}
