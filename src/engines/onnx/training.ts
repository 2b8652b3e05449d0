/**
 * The training half of the embedded engine: parameters, gradient, adapter, frozen copy and optimiser of one model.
 *
 * Everything lies in flat Float32Arrays that ONNX Runtime reads and writes in place. Sessions are opened when first
 * needed and kept; weights are their inputs, so that one session serves present and frozen weights at every step.
 * Calls must not overlap. Given the same input, all results are the same to the last bit.
 */
import type { AdamWStep, AdapterConfig, LossBatch, LossResult, StepResult, TokenIds } from '../../policy/policy.ts';
import { crossEntropy, divergence, logprobs, policyGradient, type RunLoss } from './accumulate.ts';
import { adamwStep, freshMoments, type Moments } from './adamw.ts';
import { AdapterMerge, type AdapterState, freshAdapter } from './adapter.ts';
import { Gradient } from './gradient.ts';
import { Layered } from './layered.ts';
import { type ComputationPlan, planComputation } from './memory.ts';
import type { Limits } from './micro-batches.ts';
import type { ModelRunner } from './model-runner.ts';
import { adapterLayoutOf, layoutOf, type ModelConfig, type ParameterLayout } from './parameters.ts';
import { WholeGraph } from './whole-graph.ts';

export interface TrainerOptions {
  readonly threads: number;
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
  readonly values: Float32Array;
  /** Added up since the last step. */
  readonly gradient: Gradient;
  moments: Moments;
}

export class Trainer {
  readonly #config: ModelConfig;
  readonly #layout: ParameterLayout;
  readonly #weights: Float32Array;
  readonly #limits: Limits;
  readonly #runner: ModelRunner;
  readonly #merge: AdapterMerge;
  #trained: Trained;
  #adapter: AdapterState | undefined;
  #frozen: Float32Array | undefined;
  /** The weights with the adapter added. */
  #effective: Float32Array | undefined;
  #version = 0;

  /** @param weights flat, as `layoutOf(config)` says; kept and changed in place. */
  constructor(config: ModelConfig, weights: Float32Array, options: TrainerOptions) {
    this.#config = config;
    this.#layout = layoutOf(config);
    this.#weights = weights;
    const { mode, tokens, rows } = { ...planComputation(config), ...options.plan };
    // Layer by layer, the rows of a micro-batch are cut into chunks by the head alone.
    this.#limits = { tokens, rows: mode === 'layered' ? Number.POSITIVE_INFINITY : rows };
    this.#runner =
      mode === 'layered' ? new Layered(config, options.threads, rows) : new WholeGraph(config, options.threads);
    this.#merge = new AdapterMerge(config, options.threads);
    this.#trained = trained(this.#layout, weights);
  }

  /** Raised at every change of what `effectiveWeights` gives. */
  get version(): number {
    return this.#version;
  }

  /** The weights with the adapter added; the weights themselves when there is none. Valid until `version` changes. */
  effectiveWeights(): Float32Array {
    return this.#effective ?? this.#weights;
  }

  /** log π of given ids at temperature 1, a stream per sequence (entry 0 is 0). */
  async logprobs(sequences: readonly TokenIds[], which: 'present' | 'frozen'): Promise<Float32Array[]> {
    for (const [index, ids] of sequences.entries()) this.#check(ids, `sequence ${index}`);
    const weights = which === 'frozen' ? this.#frozenWeights() : this.effectiveWeights();
    return logprobs((micro, feeds) => this.#runner.logprobs(micro, feeds, weights), sequences, this.#limits);
  }

  /**
   * Adds the batch's gradient to what was added up since the last step.
   * @throws when a loss or gradient is not finite, naming sequence or tensor; weights are untouched, and all of the
   *   gradient added up so far is dropped.
   */
  async accumulate(batch: LossBatch): Promise<LossResult> {
    try {
      switch (batch.loss) {
        case 'policy-gradient':
          for (const [index, { ids }] of batch.sequences.entries()) this.#check(ids, `sequence ${index}`);
          return await policyGradient(this.#run, batch, this.#limits);
        case 'cross-entropy':
          for (const [index, { ids }] of batch.sequences.entries()) this.#check(ids, `sequence ${index}`);
          return await crossEntropy(this.#run, batch, this.#limits);
        case 'forward-kl':
        case 'reverse-kl':
        case 'jsd':
          for (const [index, { studentPrompt, teacherPrompt, ids }] of batch.pairs.entries()) {
            this.#check([...studentPrompt, ...ids], `student side of pair ${index}`);
            this.#check([...teacherPrompt, ...ids], `teacher side of pair ${index}`);
          }
          this.#frozenWeights();
          return await divergence(this.#run, batch, this.#limits);
      }
    } catch (error) {
      this.#trained.gradient.values.fill(0);
      throw error;
    }
  }

  /** What was added up since the last step: of the adapter when one is attached, else of the weights. Not a copy. */
  gradient(): Float32Array {
    return this.#trained.gradient.values;
  }

  /** One AdamW step on the adapter when one is attached, else on the weights; clears the gradient. */
  async step(settings: AdamWStep): Promise<StepResult> {
    const { values, gradient, moments } = this.#trained;
    const result = adamwStep(values, gradient.values, moments, settings);
    gradient.values.fill(0);
    if (result.skipped) return result;
    this.#version += 1;
    if (this.#adapter) await this.#merge.add(this.#weights, this.#adapter, this.#effective!);
    return result;
  }

  /** Forgets moments and step count. */
  resetOptimizer(): void {
    this.#trained.moments = freshMoments(this.#trained.values.length);
  }

  /** Keeps a copy of the present weights, without the adapter, as the frozen ones. */
  freeze(): void {
    this.#frozen ??= new Float32Array(this.#weights.length);
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
    this.#trained = trained(this.#layout, this.#weights);
    this.#version += 1;
  }

  /** Everything that `restore` needs. */
  state(): TrainerState {
    const { moments } = this.#trained;
    return { weights: this.#weights, moments, ...(this.#adapter && { adapter: this.#adapter }) };
  }

  /** Copies a state in; the gradient starts from zero, and the frozen weights stay what they are. */
  async restore(state: TrainerState): Promise<void> {
    this.#weights.set(state.weights);
    this.#adapter = undefined;
    this.#effective = undefined;
    if (state.adapter) {
      this.#attach({ ...state.adapter, values: state.adapter.values.slice() });
      await this.#merge.add(this.#weights, state.adapter, this.#effective!);
    } else this.#trained = trained(this.#layout, this.#weights);
    const { first, second, steps } = state.moments;
    this.#trained.moments = { first: first.slice(), second: second.slice(), steps };
    this.#version += 1;
  }

  /** Releases the sessions. */
  async close(): Promise<void> {
    await this.#runner.close();
    await this.#merge.close();
  }

  /** An adapter that adds nothing yet. */
  #attach(adapter: AdapterState): void {
    this.#adapter = adapter;
    this.#effective = this.#weights.slice();
    this.#trained = trained(adapterLayoutOf(this.#config, adapter.rank), adapter.values);
    this.#version += 1;
  }

  readonly #run: RunLoss = (loss, micro, feeds, teacher) => {
    const adapter = this.#adapter;
    const { values, gradient } = this.#trained;
    const model = {
      weights: this.effectiveWeights(),
      gradient,
      ...(adapter && { adapter: { layout: gradient.layout, values, scale: adapter.alpha / adapter.rank } }),
    };
    return this.#runner.loss(loss, micro, feeds, model, teacher && { ...teacher, weights: this.#frozenWeights() });
  };

  #frozenWeights(): Float32Array {
    if (!this.#frozen) throw new Error('there are no frozen weights: call freeze() first');
    return this.#frozen;
  }

  #check(ids: TokenIds, what: string): void {
    const { vocabulary, contextLength } = this.#config;
    if (ids.length > contextLength)
      throw new Error(`${what} has ${ids.length} tokens, the model's context is ${contextLength}`);
    const wrong = ids.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < vocabulary));
    if (wrong >= 0) throw new Error(`${what}: token ${wrong} is id ${ids[wrong]}, expected 0 to ${vocabulary - 1}`);
  }
}

function trained(layout: ParameterLayout, values: Float32Array): Trained {
  return { values, gradient: new Gradient(layout), moments: freshMoments(values.length) };
}
