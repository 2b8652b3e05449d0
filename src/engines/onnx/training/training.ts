/**
 * The training half of the embedded engine: parameters, gradient, adapter, frozen copy and optimiser of one model.
 *
 * Everything lies in flat Float32Arrays that ONNX Runtime reads and writes in place, shared by all threads. Sessions are
 * opened when first needed and kept; weights are their inputs, so that one session serves present and frozen weights at
 * every step.
 * Calls must not overlap. Given the same input, all results are the same to the last bit.
 */

import { type SharedFloats, sharedCopy, sharedFloats } from '../../../onnx/shared-floats.ts';
import type {
  AdamWStep,
  AdapterConfig,
  CallOptions,
  LossBatch,
  LossResult,
  SoftTargets,
  StepResult,
  TokenIds,
  TopLogprobs,
} from '../../../policy/policy.ts';
import { type ComputationPlan, planComputation } from '../memory.ts';
import type { ModelConfig } from '../model/parameters.ts';
import type { WorkerThreads } from '../worker-threads.ts';
import { logprobs, lossOf, type RunLoss, type RunReadout, topLogprobs } from './accumulate.ts';
import { adamwStep, freshMoments, type Moments, ownShard, type SharedMoments, shardsFor } from './adamw.ts';
import { AdapterMerge, type AdapterState, freshAdapter } from './adapter.ts';
import { checkBatch, checkSequences, checkTop } from './checks.ts';
import { DataParallel } from './data-parallel.ts';
import { Layered } from './layered.ts';
import type { Limits } from './micro-batches.ts';
import type { ModelRunner, TrainedModel } from './model-runner.ts';

export interface TrainerOptions {
  readonly threads: number;
  /** The further threads. Without them, a model in one graph is computed by this thread alone. */
  readonly workerThreads?: WorkerThreads;
  /** What is to be done otherwise than `planComputation` says. */
  readonly plan?: Partial<ComputationPlan>;
}

/** What a checkpoint holds. The arrays are the trainer's own: write them out before the next call. */
export interface TrainerState {
  readonly weights: Float32Array;
  readonly adapter?: AdapterState;
  readonly moments: Moments;
}

/** What the optimiser moves: the weights, or the adapter when one is attached. */
interface Trained {
  readonly values: SharedFloats;
  /** Added up since the last step. */
  readonly gradient: SharedFloats;
  moments: SharedMoments;
}

export class Trainer {
  readonly #config: ModelConfig;
  readonly #weights: SharedFloats;
  readonly #limits: Limits;
  readonly #runner: ModelRunner;
  readonly #threads: number;
  readonly #workerThreads: WorkerThreads | undefined;
  readonly #merge: AdapterMerge;
  #trained: Trained;
  #adapter: (AdapterState & { readonly values: SharedFloats }) | undefined;
  #frozen: SharedFloats | undefined;
  /** The weights with the adapter added. */
  #effective: SharedFloats | undefined;
  #version = 0;

  /** @param weights flat, as `layoutOf(config)` says; kept and changed in place. */
  constructor(config: ModelConfig, weights: SharedFloats, { threads, workerThreads, plan }: TrainerOptions) {
    this.#config = config;
    this.#weights = weights;
    const { mode, tokens, rows, kept } = { ...planComputation(config), ...plan };
    // Layer by layer, the rows of a micro-batch are cut into chunks by the head alone.
    this.#limits = { tokens, rows: mode === 'layered' ? Number.POSITIVE_INFINITY : rows };
    this.#runner =
      mode === 'layered'
        ? new Layered(config, threads, { rows, kept })
        : new DataParallel(config, threads, workerThreads);
    this.#threads = threads;
    this.#workerThreads = workerThreads;
    this.#merge = new AdapterMerge(config, mode === 'layered' ? threads : 1);
    this.#trained = trained(weights);
  }

  /** Raised at every change of what `effectiveWeights` gives. */
  get version(): number {
    return this.#version;
  }

  /** The weights with the adapter added; the weights themselves when there is none. Valid until `version` changes. */
  effectiveWeights(): SharedFloats {
    return this.#effective ?? this.#weights;
  }

  /** log π of given ids at temperature 1, a stream per sequence (entry 0 is 0). */
  async logprobs(
    sequences: readonly TokenIds[],
    which: 'present' | 'frozen',
    watch: CallOptions = {},
  ): Promise<Float32Array[]> {
    checkSequences(sequences, this.#config);
    return logprobs(this.#readout('logprobs', which, watch), sequences, this.#limits);
  }

  /** The k likeliest tokens of every row. */
  async topLogprobs(
    sequences: readonly Pick<SoftTargets, 'ids' | 'start'>[],
    k: number,
    which: 'present' | 'frozen',
    watch: CallOptions = {},
  ): Promise<TopLogprobs[]> {
    checkTop(sequences, k, this.#config);
    return topLogprobs(this.#readout('top-logprobs', which, watch), sequences, k, this.#limits);
  }

  /**
   * Adds the batch's gradient to what was added up since the last step.
   * @throws when a loss or gradient is not finite, naming sequence or tensor, and the signal's reason when aborted, which is
   *   looked at between micro-batches; weights are untouched, and all of the gradient added up so far is dropped.
   */
  async accumulate(batch: LossBatch, watch: CallOptions = {}): Promise<LossResult> {
    const run: RunLoss = (loss, jobs) => this.#runner.run({ kind: 'loss', loss, jobs, model: this.#model() }, watch);
    try {
      checkBatch(batch, this.#config);
      if ('pairs' in batch) this.#frozenWeights();
      return await lossOf(batch, run, this.#limits);
    } catch (error) {
      this.dropGradient();
      throw error;
    }
  }

  /** What was added up since the last step is forgotten. */
  dropGradient(): void {
    this.#trained.gradient.fill(0);
  }

  /** What was added up since the last step: of the adapter when one is attached, else of the weights. Not a copy. */
  gradient(): Float32Array {
    return this.#trained.gradient;
  }

  /** One AdamW step on the adapter when one is attached, else on the weights; clears the gradient. */
  async step(settings: AdamWStep): Promise<StepResult> {
    const { values, gradient, moments } = this.#trained;
    const others = this.#workerThreads?.shards(shardsFor(values.length, this.#threads) - 1) ?? [];
    const result = await adamwStep(values, gradient, moments, settings, [...others, ownShard]);
    gradient.fill(0);
    if (result.skipped) return result;
    this.#version += 1;
    if (this.#adapter) await this.#merge.add(this.#weights, this.#adapter, this.#effective!);
    return result;
  }

  /** Keeps a copy of the present weights, without the adapter, as the frozen ones. */
  freeze(): void {
    this.#frozen ??= sharedFloats(this.#weights.length);
    this.#frozen.set(this.#weights);
  }

  /** From here on training moves the adapter alone; gradient and moments of the weights are dropped. */
  attachAdapter(adapter: AdapterConfig): void {
    if (this.#adapter) throw new Error('an adapter is attached already; merge it first');
    this.#attach({ rank: adapter.rank, alpha: adapter.alpha, values: freshAdapter(this.#config, adapter) });
  }

  /** Adds the adapter to the weights and removes it, its gradient and its moments. */
  mergeAdapter(): void {
    if (!this.#adapter) throw new Error('no adapter is attached');
    this.#weights.set(this.effectiveWeights());
    this.#adapter = undefined;
    this.#effective = undefined;
    this.#trained = trained(this.#weights);
    this.#version += 1;
  }

  /** Everything that `restore` needs. */
  state(): TrainerState {
    const { moments } = this.#trained;
    return { weights: this.#weights, moments, ...(this.#adapter && { adapter: this.#adapter }) };
  }

  /**
   * Copies a state in, without moments with a fresh optimiser; the gradient starts from zero, and the frozen weights stay
   * what they are.
   */
  async restore({ weights, adapter, moments }: Omit<TrainerState, 'moments'> & { moments?: Moments }): Promise<void> {
    this.#weights.set(weights);
    this.#adapter = undefined;
    if (adapter) {
      this.#attach(adapter, moments);
      await this.#merge.add(this.#weights, adapter, this.#effective!);
    } else {
      this.#effective = undefined;
      this.#trained = trained(this.#weights, moments, this.#trained);
    }
    this.#version += 1;
  }

  /** Releases the sessions. */
  async close(): Promise<void> {
    await this.#runner.close();
    await this.#merge.close();
  }

  /** A copy of the adapter; what it adds to the weights is the caller's to see to. */
  #attach({ rank, alpha, values }: AdapterState, moments?: Moments): void {
    this.#adapter = { rank, alpha, values: sharedCopy(values) };
    this.#effective ??= sharedFloats(this.#weights.length);
    this.#effective.set(this.#weights);
    this.#trained = trained(this.#adapter.values, moments, this.#trained);
    this.#version += 1;
  }

  #readout(readout: 'logprobs' | 'top-logprobs', which: 'present' | 'frozen', watch: CallOptions): RunReadout {
    const weights = which === 'frozen' ? this.#frozenWeights() : this.effectiveWeights();
    return (jobs) => this.#runner.run({ kind: 'readout', readout, jobs, weights }, watch);
  }

  #model(): TrainedModel {
    const { values, gradient } = this.#trained;
    const adapter = this.#adapter && {
      rank: this.#adapter.rank,
      scale: this.#adapter.alpha / this.#adapter.rank,
      values,
    };
    return {
      weights: this.effectiveWeights(),
      gradient,
      ...(this.#frozen && { frozen: this.#frozen }),
      ...(adapter && { adapter }),
    };
  }

  #frozenWeights(): SharedFloats {
    if (!this.#frozen) throw new Error('there are no frozen weights: call freeze() first');
    return this.#frozen;
  }
}

/**
 * @param moments copied; absent: fresh
 * @param former given up, and written over where it fits: shared memory that nothing refers to is held until the collector comes by
 */
function trained(values: SharedFloats, moments?: Moments, former?: Trained): Trained {
  const fits = former?.gradient.length === values.length;
  const gradient = fits ? former.gradient.fill(0) : sharedFloats(values.length);
  const { first, second } = fits ? former.moments : freshMoments(values.length);
  if (moments) {
    first.set(moments.first);
    second.set(moments.second);
  } else if (fits) {
    first.fill(0);
    second.fill(0);
  }
  return { values, gradient, moments: { first, second, steps: moments?.steps ?? 0 } };
}
