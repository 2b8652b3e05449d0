/**
 * The training half of the engine on a GPU: what training.ts is on the processor, with everything on the GPU from the first call on.
 * The host sees losses and what they say of their rows, the norm of gradients, and weights when a checkpoint is written.
 *
 * Calls must not overlap.
 */
import type { Tensor } from 'onnxruntime-node';
import { hold, letGo, Transfers } from '../../../onnx/resident.ts';
import {
  type AdamWStep,
  type AdapterConfig,
  type CallOptions,
  type LossBatch,
  type LossResult,
  NonFiniteError,
  type SoftTargets,
  type StepResult,
  type TokenIds,
  type TopLogprobs,
} from '../../../policy/policy.ts';
import { type ComputationPlan, planComputation } from '../memory.ts';
import { ADAMW_SCALARS, adamwGraph, squaresGraph } from '../model/device-graphs.ts';
import {
  adapterLayoutOf,
  adapterNames,
  LINEAR_LAYERS,
  layoutOf,
  type ModelConfig,
  type ParameterLayout,
  viewOf,
} from '../model/parameters.ts';
import { logprobs, lossOf, type RunLoss, type RunReadout, topLogprobs } from './accumulate.ts';
import { coefficientsOf, type Moments } from './adamw.ts';
import { freshAdapter, mergeGraph } from './adapter.ts';
import { checkBatch, checkSequences, checkTop } from './checks.ts';
import { DeviceLayered, type DeviceModel } from './device-layered.ts';
import type { Limits } from './micro-batches.ts';
import { SessionPool, type Tensors } from './model-runner.ts';
import type { TrainerState } from './training.ts';

/** Tensors on the GPU by their parameters' names. */
type Parameters = Record<string, Tensor>;

interface Adapter {
  readonly rank: number;
  readonly alpha: number;
  /** The weights with the adapter added; all but the linear layers' are the weights' own. */
  effective: Parameters;
}

/** What the optimiser moves. Moments that are missing are 0. */
interface Trained {
  readonly layout: ParameterLayout;
  readonly values: Parameters;
  readonly gradient: Parameters;
  readonly first: Parameters;
  readonly second: Parameters;
  steps: number;
}

export class DeviceTrainer {
  readonly #config: ModelConfig;
  readonly #layout: ParameterLayout;
  readonly #limits: Limits;
  readonly #transfers = new Transfers();
  readonly #sessions = new SessionPool(1);
  readonly #runner: DeviceLayered;
  #weights: Parameters = {};
  #trained: Trained;
  #adapter: Adapter | undefined;
  #frozen: Parameters | undefined;
  /** Σ g² of each trained tensor; undefined when the gradient has changed since. */
  #squares: Float32Array | undefined;
  #version = 0;

  private constructor(config: ModelConfig, plan?: Partial<ComputationPlan>) {
    const { tokens, rows } = { ...planComputation(config), ...plan };
    this.#config = config;
    this.#layout = layoutOf(config);
    // The rows of a micro-batch are cut into chunks by the head alone.
    this.#limits = { tokens, rows: Number.POSITIVE_INFINITY };
    this.#runner = new DeviceLayered(config, rows, this.#transfers);
    this.#trained = fresh(this.#layout, this.#weights);
  }

  /** @param weights flat, as `layoutOf(config)` says; copied */
  static async open(
    config: ModelConfig,
    weights: Float32Array,
    plan?: Partial<ComputationPlan>,
  ): Promise<DeviceTrainer> {
    const trainer = new DeviceTrainer(config, plan);
    await trainer.#take(weights);
    return trainer;
  }

  /** Raised at every change of what `effectiveWeights` gives. */
  get version(): number {
    return this.#version;
  }

  /** The weights with the adapter added, on the GPU. Valid until `version` changes. */
  effectiveWeights(): Tensors {
    return this.#adapter?.effective ?? this.#weights;
  }

  /** As `Trainer` has it. */
  async logprobs(
    sequences: readonly TokenIds[],
    which: 'present' | 'frozen',
    watch: CallOptions = {},
  ): Promise<Float32Array[]> {
    checkSequences(sequences, this.#config);
    return logprobs(this.#readout('logprobs', which, watch), sequences, this.#limits);
  }

  /** As `Trainer` has it. */
  async topLogprobs(
    sequences: readonly Pick<SoftTargets, 'ids' | 'start'>[],
    k: number,
    which: 'present' | 'frozen',
    watch: CallOptions = {},
  ): Promise<TopLogprobs[]> {
    checkTop(sequences, k, this.#config);
    return topLogprobs(this.#readout('top-logprobs', which, watch), sequences, k, this.#limits);
  }

  /** As `Trainer` has it; a gradient that is not finite is found when the batch ends, and its tensor named. */
  async accumulate(batch: LossBatch, watch: CallOptions = {}): Promise<LossResult> {
    const run: RunLoss = (loss, jobs) => this.#runner.run({ kind: 'loss', loss, jobs, model: this.#model() }, watch);
    try {
      checkBatch(batch, this.#config);
      if ('pairs' in batch) this.#frozenWeights();
      this.#squares = undefined;
      const result = await lossOf(batch, run, this.#limits);
      this.#squares = await this.#sumSquares();
      return result;
    } catch (error) {
      await this.dropGradient();
      throw error;
    }
  }

  /** What was added up since the last step is forgotten. */
  async dropGradient(): Promise<void> {
    this.#squares = undefined;
    await empty(this.#trained.gradient);
  }

  /** What was added up since the last step: of the adapter when one is attached, else of the weights. A copy. */
  gradient(): Promise<Float32Array> {
    return this.#read(this.#trained.layout, this.#trained.gradient);
  }

  /** One AdamW step on the adapter when one is attached, else on the weights; clears the gradient. */
  async step(settings: AdamWStep): Promise<StepResult> {
    const squares = this.#squares ?? (await this.#sumSquares());
    const gradientNorm = Math.sqrt(squares.reduce((sum, square) => sum + square, 0));
    if (gradientNorm < settings.minGradientNorm) {
      await this.dropGradient();
      return { gradientNorm, skipped: true };
    }
    await this.#update(settings, gradientNorm);
    await this.dropGradient();
    this.#version += 1;
    if (this.#adapter) await this.#merge(this.#adapter);
    return { gradientNorm, skipped: false };
  }

  /** Keeps the present weights, without the adapter, as the frozen ones. */
  async freeze(): Promise<void> {
    const before = this.#frozen;
    // No step changes a tensor, so that nothing has to be copied.
    hold(Object.values(this.#weights));
    this.#frozen = { ...this.#weights };
    if (before) await empty(before);
  }

  /** From here on training moves the adapter alone; gradient and moments of the weights are dropped. */
  async attachAdapter({ rank, alpha, key }: AdapterConfig): Promise<void> {
    if (this.#adapter) throw new Error('an adapter is attached already; merge it first');
    await this.#attach(rank, alpha, freshAdapter(this.#config, { rank, alpha, key }));
  }

  /** Adds the adapter to the weights and removes it, its gradient and its moments. */
  async mergeAdapter(): Promise<void> {
    if (!this.#adapter) throw new Error('no adapter is attached');
    const { effective } = this.#adapter;
    await this.#dropTrained();
    await empty(this.#weights);
    this.#adapter = undefined;
    this.#weights = effective;
    this.#trained = fresh(this.#layout, this.#weights);
    this.#version += 1;
  }

  /** Everything that `restore` needs, on the host. */
  async state(): Promise<TrainerState> {
    const { layout, values, first, second, steps } = this.#trained;
    const weights = await this.#read(this.#layout, this.#weights);
    const moments: Moments = {
      first: await this.#read(layout, first),
      second: await this.#read(layout, second),
      steps,
    };
    if (!this.#adapter) return { weights, moments };
    const { rank, alpha } = this.#adapter;
    return { weights, moments, adapter: { rank, alpha, values: await this.#read(layout, values) } };
  }

  /** As `Trainer` has it. */
  async restore({ weights, adapter, moments }: Omit<TrainerState, 'moments'> & { moments?: Moments }): Promise<void> {
    await this.#take(weights);
    if (adapter) await this.#attach(adapter.rank, adapter.alpha, adapter.values);
    if (!moments) return;
    const { layout, first, second } = this.#trained;
    await this.#bring(layout, moments.first, first);
    await this.#bring(layout, moments.second, second);
    this.#trained.steps = moments.steps;
  }

  /** Frees everything. */
  async close(): Promise<void> {
    await this.#dropTrained();
    if (this.#adapter) await empty(this.#adapter.effective);
    await empty(this.#weights);
    if (this.#frozen) await empty(this.#frozen);
    await this.#runner.close();
    await this.#sessions.close();
    await this.#transfers.close();
  }

  /** New weights, no adapter, a fresh optimiser. */
  async #take(weights: Float32Array): Promise<void> {
    await this.#dropTrained();
    if (this.#adapter) await empty(this.#adapter.effective);
    this.#adapter = undefined;
    await empty(this.#weights);
    await this.#bring(this.#layout, weights, this.#weights);
    this.#trained = fresh(this.#layout, this.#weights);
    this.#version += 1;
  }

  async #attach(rank: number, alpha: number, values: Float32Array): Promise<void> {
    await this.#dropTrained();
    const layout = adapterLayoutOf(this.#config, rank);
    const matrices: Parameters = {};
    await this.#bring(layout, values, matrices);
    this.#trained = fresh(layout, matrices);
    this.#adapter = { rank, alpha, effective: {} };
    await this.#merge(this.#adapter);
    this.#version += 1;
  }

  /** effective = W + (alpha / rank) B A */
  async #merge(adapter: Adapter): Promise<void> {
    const scale = adapter.alpha / adapter.rank;
    const session = await this.#sessions.get(`merge ${scale}`, () => mergeGraph(scale, 'webgpu'));
    const effective: Parameters = {};
    for (let layer = 0; layer < this.#config.layers; layer++) {
      for (const linear of LINEAR_LAYERS) {
        const name = `model.layers.${layer}.${linear}.weight`;
        const { a, b } = adapterNames(layer, linear);
        const { values } = this.#trained;
        const { merged } = await session.run({ w: this.#weights[name]!, a: values[a]!, b: values[b]! });
        effective[name] = merged as Tensor;
      }
    }
    for (const [name, tensor] of Object.entries(this.#weights)) {
      if (name in effective) continue;
      hold([tensor]);
      effective[name] = tensor;
    }
    await empty(adapter.effective);
    adapter.effective = effective;
  }

  async #update(settings: AdamWStep, gradientNorm: number): Promise<void> {
    const trained = this.#trained;
    trained.steps += 1;
    const { beta1, beta2, epsilon, scale, keep, rate, ...rest } = coefficientsOf(settings, trained.steps, gradientNorm);
    // √(v c) + ε = √c (√v + ε/√c), so that the graph need not know c.
    const correction = Math.sqrt(rest.correction);
    const values: Record<(typeof ADAMW_SCALARS)[number], number> = {
      beta1,
      beta2,
      'gradient factor': scale * (1 - beta1),
      'square factor': scale ** 2 * (1 - beta2),
      epsilon: epsilon / correction,
      rate: rate / correction,
      keep,
    };
    const scalars: Parameters = {};
    for (const name of ADAMW_SCALARS) scalars[name] = await this.#transfers.bring(Float32Array.of(values[name]), []);
    const session = await this.#sessions.get('adamw', adamwGraph);
    for (const { name, shape } of trained.layout.entries) {
      const before = {
        w: trained.values[name]!,
        g: await this.#orZeros(trained.gradient, name, shape),
        first: await this.#orZeros(trained.first, name, shape),
        second: await this.#orZeros(trained.second, name, shape),
      };
      const after = (await session.run({ ...before, ...scalars })) as Tensors;
      trained.values[name] = after['new w']!;
      trained.first[name] = after['new first']!;
      trained.second[name] = after['new second']!;
      delete trained.gradient[name];
      await letGo(Object.values(before));
    }
    await empty(scalars);
  }

  /** @throws NonFiniteError naming the first tensor whose gradient is not finite */
  async #sumSquares(): Promise<Float32Array> {
    const { layout, gradient } = this.#trained;
    const names = layout.entries.map(({ name }) => name).filter((name) => name in gradient);
    if (names.length === 0) return new Float32Array(0);
    const session = await this.#sessions.get(
      `squares ${names.length}`,
      () => squaresGraph(names.length),
      () => true,
    );
    const { squares } = await session.run(Object.fromEntries(names.map((name, i) => [`${i}`, gradient[name]!])));
    const sums = (squares as Tensor).data as Float32Array;
    const wrong = sums.findIndex((sum) => !Number.isFinite(sum));
    if (wrong >= 0)
      throw new NonFiniteError(`the gradient of ${names[wrong]} is not finite; the weights were not changed`);
    return sums;
  }

  #model(): DeviceModel {
    const { layout, values, gradient } = this.#trained;
    return {
      weights: this.effectiveWeights(),
      frozen: this.#frozen,
      adapter: this.#adapter && values,
      trained: this.#adapter ? { adapterScale: this.#adapter.alpha / this.#adapter.rank } : 'weights',
      gradient: {
        take: async (name) => {
          const sum = await this.#orZeros(gradient, name, layout.byName.get(name)!.shape);
          delete gradient[name];
          return sum;
        },
        put: (name, sum) => {
          gradient[name] = sum;
        },
      },
    };
  }

  #readout(readout: 'logprobs' | 'top-logprobs', which: 'present' | 'frozen', watch: CallOptions): RunReadout {
    const weights = which === 'frozen' ? this.#frozenWeights() : this.effectiveWeights();
    return (jobs) => this.#runner.run({ kind: 'readout', readout, jobs, weights }, watch);
  }

  #frozenWeights(): Parameters {
    if (!this.#frozen) throw new Error('there are no frozen weights: call freeze() first');
    return this.#frozen;
  }

  async #dropTrained(): Promise<void> {
    const { values, gradient, first, second } = this.#trained;
    for (const tensors of [gradient, first, second]) await empty(tensors);
    if (values !== this.#weights) await empty(values);
    this.#squares = undefined;
  }

  async #orZeros(tensors: Parameters, name: string, shape: readonly number[]): Promise<Tensor> {
    return tensors[name] ?? this.#transfers.zeros(shape);
  }

  /** Brings a flat array to the GPU, into `target`. */
  async #bring(layout: ParameterLayout, flat: Float32Array, target: Parameters): Promise<void> {
    for (const { name, shape } of layout.entries)
      target[name] = await this.#transfers.bring(viewOf(layout, flat, name), shape);
  }

  /** Copies tensors into a flat array; those that are missing are 0. */
  async #read(layout: ParameterLayout, tensors: Parameters): Promise<Float32Array> {
    const flat = new Float32Array(layout.total);
    for (const { name } of layout.entries)
      if (tensors[name]) await this.#transfers.read(tensors[name], viewOf(layout, flat, name));
    return flat;
  }
}

function fresh(layout: ParameterLayout, values: Parameters): Trained {
  return { layout, values, gradient: {}, first: {}, second: {}, steps: 0 };
}

/** Lets go of all tensors of a set. */
async function empty(tensors: Parameters): Promise<void> {
  const held = Object.values(tensors);
  for (const name of Object.keys(tensors)) delete tensors[name];
  await letGo(held);
}
