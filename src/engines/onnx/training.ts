/**
 * The training half of the embedded engine: parameters, gradient, adapter, frozen copy and optimiser of one model.
 *
 * Everything lies in flat Float32Arrays that ONNX Runtime reads and writes in place. Sessions are opened when first
 * needed and kept; weights are their inputs, so that one session serves present and frozen weights at every step.
 * Calls must not overlap. Given the same input, all results are the same to the last bit.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import {
  type AdamWStep,
  type AdapterConfig,
  type LossBatch,
  type LossResult,
  NonFiniteError,
  type StepResult,
  type TokenIds,
} from '../../policy/policy.ts';
import {
  checkFinite,
  crossEntropy,
  forwardKl,
  logprobs,
  type Outputs,
  policyGradient,
  type RunForward,
  type RunLoss,
} from './accumulate.ts';
import { adamwStep, freshMoments, type Moments } from './adamw.ts';
import { addAdapter, freshAdapter } from './adapter.ts';
import {
  crossEntropyGraph,
  EMBEDDED_GRADIENT,
  forwardKlGraph,
  GRADIENT_PREFIX,
  logprobsGraph,
  policyGradientGraph,
  teacherGraph,
} from './losses.ts';
import { flatRows, type Limits, type MicroBatch, paddedIds } from './micro-batches.ts';
import { adapterLayoutOf, layoutOf, type ModelConfig, nameAt, type ParameterLayout, viewOf } from './parameters.ts';
import { createSession, floats, integers } from './session.ts';

/** Padded tokens of a micro-batch when nothing else is asked for: 512 to 2,048 are equally fast. */
const TOKEN_BUDGET = 1024;
/** Elements of one [rows, vocabulary] tensor, of which a loss holds about six: 32 MiB each in float32. */
const LOGITS_BUDGET = 2 ** 23;

export interface TrainerOptions {
  readonly threads: number;
  /** Padded tokens of a micro-batch; a longer sequence is computed alone. */
  readonly tokenBudget?: number;
}

/** What a checkpoint holds. The arrays are the trainer's own: write them out before the next call. */
export interface TrainerState {
  readonly weights: Float32Array;
  readonly adapter?: AdapterState;
  readonly moments: Moments;
}

export interface AdapterState {
  readonly rank: number;
  readonly alpha: number;
  /** As `adapterLayoutOf` lays it out. */
  readonly values: Float32Array;
}

/** What the optimiser moves: the weights, or the adapter when one is attached. */
interface Trained {
  readonly layout: ParameterLayout;
  readonly values: Float32Array;
  /** Added up since the last step. */
  readonly gradient: Float32Array;
  /** Written by each run. */
  readonly microGradient: Float32Array;
  moments: Moments;
}

export class Trainer {
  readonly #config: ModelConfig;
  readonly #layout: ParameterLayout;
  readonly #weights: Float32Array;
  readonly #threads: number;
  readonly #limits: Limits;
  readonly #sessions = new Map<string, Promise<InferenceSession>>();
  /** Tensors over the parts of a flat array, by the graphs' names. */
  readonly #tensors = new WeakMap<Float32Array, Record<string, Tensor>>();
  #trained: Trained;
  #adapter: AdapterState | undefined;
  #frozen: Float32Array | undefined;
  #effective: { readonly version: number; readonly weights: Float32Array } | undefined;
  #version = 0;

  /** @param weights flat, as `layoutOf(config)` says; kept and changed in place. */
  constructor(config: ModelConfig, weights: Float32Array, options: TrainerOptions) {
    this.#config = config;
    this.#layout = layoutOf(config);
    this.#weights = weights;
    this.#threads = options.threads;
    this.#limits = {
      tokens: options.tokenBudget ?? TOKEN_BUDGET,
      rows: Math.max(1, Math.floor(LOGITS_BUDGET / config.vocabulary)),
    };
    this.#trained = trained(this.#layout, weights);
  }

  /** Raised at every change of what `effectiveWeights` gives. */
  get version(): number {
    return this.#version;
  }

  /** The weights with the adapter added; the weights themselves when there is none. Valid until `version` changes. */
  effectiveWeights(): Float32Array {
    if (!this.#adapter) return this.#weights;
    if (this.#effective?.version !== this.#version) {
      const target = this.#effective?.weights ?? new Float32Array(this.#weights.length);
      addAdapter(this.#config, this.#weights, this.#adapter.values, this.#adapter, target);
      this.#effective = { version: this.#version, weights: target };
    }
    return this.#effective.weights;
  }

  /** log π of given ids at temperature 1, a stream per sequence (entry 0 is 0). */
  async logprobs(sequences: readonly TokenIds[], which: 'present' | 'frozen'): Promise<Float32Array[]> {
    for (const [index, ids] of sequences.entries()) this.#check(ids, `sequence ${index}`);
    const weights = which === 'frozen' ? this.#frozenWeights() : this.effectiveWeights();
    return logprobs(this.#forward(weights), sequences, this.#limits);
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
          for (const [index, { studentPrompt, teacherPrompt, ids }] of batch.pairs.entries()) {
            this.#check([...studentPrompt, ...ids], `student side of pair ${index}`);
            this.#check([...teacherPrompt, ...ids], `teacher side of pair ${index}`);
          }
          return await forwardKl(this.#run, this.#forward(this.#frozenWeights()), batch, this.#limits);
      }
    } catch (error) {
      this.#trained.gradient.fill(0);
      throw error;
    }
  }

  /** What was added up since the last step: of the adapter when one is attached, else of the weights. Not a copy. */
  gradient(): Float32Array {
    return this.#trained.gradient;
  }

  /** One AdamW step on the adapter when one is attached, else on the weights; clears the gradient. */
  step(settings: AdamWStep): StepResult {
    const { values, gradient, moments } = this.#trained;
    const result = adamwStep(values, gradient, moments, settings);
    gradient.fill(0);
    if (!result.skipped) this.#version += 1;
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
  restore(state: TrainerState): void {
    this.#weights.set(state.weights);
    this.#adapter = undefined;
    this.#effective = undefined;
    if (state.adapter) this.#attach({ ...state.adapter, values: state.adapter.values.slice() });
    else this.#trained = trained(this.#layout, this.#weights);
    const { first, second, steps } = state.moments;
    this.#trained.moments = { first: first.slice(), second: second.slice(), steps };
    this.#version += 1;
  }

  /** Releases the sessions. */
  async close(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of sessions) await (await session).release();
  }

  #attach(adapter: AdapterState): void {
    this.#adapter = adapter;
    this.#trained = trained(adapterLayoutOf(this.#config, adapter.rank), adapter.values);
    this.#version += 1;
  }

  /** Runs a loss's graph with the present weights and adds its gradient. */
  readonly #run: RunLoss = async (graph, micro, feeds) => {
    const adapter = this.#adapter;
    const what = adapter ? { adapterScale: adapter.alpha / adapter.rank } : 'weights';
    const session = await this.#session(`${graph} ${JSON.stringify(what)}`, () =>
      LOSS_GRAPHS[graph](this.#config, what),
    );
    const { layout, values, microGradient } = this.#trained;
    const fetches: Record<string, Tensor | null> = {};
    const gradients = this.#tensorsOf(microGradient, layout);
    for (const name of session.outputNames)
      fetches[name] = name.startsWith(GRADIENT_PREFIX) ? (gradients[name.slice(GRADIENT_PREFIX.length)] ?? null) : null;
    const results = await session.run(
      {
        ...this.#tensorsOf(this.effectiveWeights(), this.#layout),
        ...(adapter && this.#tensorsOf(values, layout)),
        ...batchFeeds(micro),
        ...feeds,
      },
      fetches,
    );
    const outputs = rowOutputs(results);
    checkFinite(graph, micro, outputs);
    this.#addGradient(micro, results[EMBEDDED_GRADIENT]);
    return outputs;
  };

  /** How to run a graph without gradients on these weights. */
  #forward(weights: Float32Array): RunForward {
    return async (graph, micro, feeds) => {
      const session = await this.#session(graph, () => FORWARD_GRAPHS[graph](this.#config));
      const inputs = { ...this.#tensorsOf(weights, this.#layout), ...batchFeeds(micro), ...feeds };
      return rowOutputs(await session.run(inputs));
    };
  }

  /** Adds a run's gradient, and that of the looked-up embeddings [N S, hidden] to the rows of the embedding. */
  #addGradient(micro: MicroBatch, embedded: Tensor | undefined): void {
    const { layout, gradient, microGradient } = this.#trained;
    if (embedded) {
      const { hidden } = this.#config;
      const rows = embedded.data as Float32Array;
      const target = viewOf(layout, gradient, 'model.embed_tokens.weight');
      for (const [n, { ids }] of micro.work.entries()) {
        for (const [s, id] of ids.entries()) {
          const from = (n * micro.length + s) * hidden;
          for (let i = 0; i < hidden; i++) target[id * hidden + i]! += rows[from + i]!;
        }
      }
    }
    let check = 0; // NaN as soon as one element is not finite
    for (let i = 0; i < gradient.length; i++) {
      gradient[i]! += microGradient[i]!;
      check += gradient[i]! * 0;
    }
    if (check !== 0) {
      const name = nameAt(
        layout,
        gradient.findIndex((value) => !Number.isFinite(value)),
      );
      const sequences = micro.work.map(({ index }) => index).join(', ');
      throw new NonFiniteError(
        `the gradient of ${name} is not finite (sequences ${sequences}); the weights were not changed`,
      );
    }
  }

  #session(key: string, build: () => Uint8Array): Promise<InferenceSession> {
    let session = this.#sessions.get(key);
    if (!session) {
      session = createSession(build(), this.#threads);
      this.#sessions.set(key, session);
    }
    return session;
  }

  #tensorsOf(flat: Float32Array, layout: ParameterLayout): Record<string, Tensor> {
    let tensors = this.#tensors.get(flat);
    if (!tensors) {
      tensors = Object.fromEntries(
        layout.entries.map(({ name, shape }) => [name, floats(viewOf(layout, flat, name), shape)]),
      );
      this.#tensors.set(flat, tensors);
    }
    return tensors;
  }

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

const LOSS_GRAPHS = {
  'policy-gradient': policyGradientGraph,
  'cross-entropy': crossEntropyGraph,
  'forward-kl': forwardKlGraph,
};

const FORWARD_GRAPHS = { teacher: teacherGraph, logprobs: logprobsGraph };

function trained(layout: ParameterLayout, values: Float32Array): Trained {
  return {
    layout,
    values,
    gradient: new Float32Array(values.length),
    microGradient: new Float32Array(values.length),
    moments: freshMoments(values.length),
  };
}

function batchFeeds(micro: MicroBatch): Record<string, Tensor> {
  return {
    ids: integers(paddedIds(micro), [micro.work.length, micro.length]),
    rows: integers(flatRows(micro), [micro.rows]),
  };
}

function rowOutputs(results: InferenceSession.OnnxValueMapType): Outputs {
  return Object.fromEntries(
    Object.entries(results)
      .filter(([name]) => !name.startsWith(GRADIENT_PREFIX))
      .map(([name, tensor]) => [name, (tensor as Tensor).data as Float32Array]),
  );
}
