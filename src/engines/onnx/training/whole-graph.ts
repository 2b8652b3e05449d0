/** The whole model, forward and backward, as one graph: fastest, and every activation is held until the way back. */
import type { Tensor } from 'onnxruntime-node';
import { floats } from '../../../onnx/session.ts';
import {
  EMBEDDED_GRADIENT,
  GRADIENT_PREFIX,
  type LossName,
  lossGraph,
  type ReadoutName,
  readoutGraph,
} from '../model/losses.ts';
import { layoutOf, type ModelConfig, type ParameterLayout } from '../model/parameters.ts';
import { checkFinite } from './accumulate.ts';
import { Gradient } from './gradient.ts';
import type { MicroBatch } from './micro-batches.ts';
import {
  type Feeds,
  feedTensors,
  gradientLayoutOf,
  type Job,
  levelTensors,
  type Outputs,
  rowOutputs,
  SessionPool,
  type Task,
  type Tensors,
  type TrainedModel,
  tensorsOf,
  trainedOf,
} from './model-runner.ts';

/** What a micro-batch gave. Its gradient is not yet in the model's. */
export interface Computed {
  readonly outputs: Outputs;
  /**
   * Adds the gradient to the model's. At most once.
   * @throws NonFiniteError
   */
  readonly add: () => void;
}

export class WholeGraph {
  readonly #config: ModelConfig;
  readonly #layout: ParameterLayout;
  readonly #sessions: SessionPool;
  /** Arrays of `size` for the gradient of one micro-batch that nothing is waiting in. */
  #spare: { readonly size: number; readonly arrays: Float32Array[] } = { size: 0, arrays: [] };

  constructor(config: ModelConfig) {
    this.#config = config;
    this.#layout = layoutOf(config);
    // One thread: how a product is cut among several shows in the last bits of its sums.
    this.#sessions = new SessionPool(1, { keepsMemory: true });
  }

  async compute(task: Task, job: Job): Promise<Computed> {
    if (task.kind === 'loss') return this.#loss(task.loss, job, task.model);
    return { outputs: await this.#readout(task.readout, job.micro, job.feeds, task.weights), add: () => {} };
  }

  close(): Promise<void> {
    return this.#sessions.close();
  }

  async #loss(loss: LossName, { micro, feeds, teacher }: Job, model: TrainedModel): Promise<Computed> {
    const { vocabulary, hidden } = this.#config;
    const taught: Record<string, Tensor> = {};
    if (teacher) {
      const { inverseTemperature } = teacher;
      const { teacherLogprobs } = await this.#readout('teacher', teacher.micro, { inverseTemperature }, model.frozen!);
      taught.teacherLogprobs = floats(teacherLogprobs!, [micro.rows, vocabulary]);
    }
    const trained = trainedOf(model);
    const session = await this.#sessions.get(`${loss} ${JSON.stringify(trained)}`, () =>
      lossGraph(loss, this.#config, trained),
    );
    const { weights, adapter } = model;
    const gradient = new Gradient(gradientLayoutOf(this.#config, model), model.gradient);
    const { layout } = gradient;
    if (this.#spare.size !== layout.total) this.#spare = { size: layout.total, arrays: [] };
    const { arrays } = this.#spare;
    const own = arrays.pop() ?? new Float32Array(layout.total);
    const gradients = tensorsOf(layout, own);
    const fetches: Record<string, Tensor | null> = {};
    for (const name of session.outputNames)
      fetches[name] = name.startsWith(GRADIENT_PREFIX) ? (gradients[name.slice(GRADIENT_PREFIX.length)] ?? null) : null;
    const results = await session.run(
      {
        ...tensorsOf(this.#layout, weights),
        ...(adapter && tensorsOf(layout, adapter.values)),
        ...batchTensors(micro),
        ...feedTensors(feeds),
        ...taught,
      },
      fetches,
    );
    const outputs = rowOutputs(results);
    const add = () => {
      checkFinite(loss, micro, outputs);
      const embedded = results[EMBEDDED_GRADIENT];
      if (embedded) gradient.addEmbedded(micro, embedded.data as Float32Array, hidden);
      gradient.add(micro, own, 0);
      arrays.push(own);
    };
    return { outputs, add };
  }

  async #readout(readout: ReadoutName, micro: MicroBatch, feeds: Feeds, weights: Float32Array): Promise<Outputs> {
    const session = await this.#sessions.get(readout, () => readoutGraph(readout, this.#config));
    const inputs = { ...tensorsOf(this.#layout, weights), ...batchTensors(micro), ...feedTensors(feeds) };
    return rowOutputs(await session.run(inputs));
  }
}

/** What `transformer` declares, but for the parameters. */
export function batchTensors({ levels, slots, reads }: MicroBatch): Tensors {
  return { ...levelTensors(levels), ...feedTensors({ ids: levels.ids, slots, reads }) };
}
