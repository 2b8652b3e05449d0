/**
 * How a model is computed (as one graph, or layer by layer where its activations would take too much memory), and what
 * memory training and sampling take, by part. Sizes of arrays are exact; activations are counted, not measured.
 */

import { REST_BYTES } from './decoding/prefix-store.ts';
import { samplerPlan } from './decoding/samplers.ts';
import { keptProducts } from './model/layer-graphs.ts';
import { adapterLayoutOf, layoutOf, type ModelConfig } from './model/parameters.ts';
import { LEVELS } from './model/prefix-tree.ts';

export interface ComputationPlan {
  /** One graph for the whole model, or layer by layer with what lies between a layer's products computed again on the way back. */
  readonly mode: 'whole' | 'layered';
  /** Tokens of a micro-batch, shared ones once, padding not counted; a longer sequence is computed alone. */
  readonly tokens: number;
  /** Rows of logits that are held at a time. */
  readonly rows: number;
  /**
   * Layer by layer: bytes that the results of products may take for the way back, where the machine has them to spare (`keptLimit`). A
   * micro-batch whose results take more computes them again, which gives the same bits.
   */
  readonly kept: number;
}

/** Activations of a whole graph may take so much; above it, the model is computed layer by layer. */
const ACTIVATION_BUDGET = 2 ** 30;
/** Tokens of a micro-batch. In one graph on one thread, more are no faster, and fewer leave more for other threads. */
const TOKENS = { whole: 1024, layered: 2048 };
/** What products give may take so much for the way back: 2,048 tokens of SmolLM2-360M, 1,900 of Qwen2.5-0.5B. */
const KEPT_BUDGET = 2 ** 31;
/** So much stays free beside it: for the activations of a layer, for logits, and for whatever else the machine does. */
const KEPT_RESERVE = 2 ** 31;
/** Elements of one [rows, vocabulary] tensor, of which a loss holds about six: 32 MiB each in float32. */
const LOGITS = { whole: 2 ** 23, layered: 2 ** 25 };

/** What threads that compute micro-batches side by side may take together. */
const PLACES_BUDGET = 2 ** 33;

/** Depends on the model alone, so that the same run gives the same bits on machines with more or less memory. */
export function planComputation(config: ModelConfig): ComputationPlan {
  const mode = activationBytes(config, TOKENS.whole) <= ACTIVATION_BUDGET ? 'whole' : 'layered';
  return {
    mode,
    tokens: TOKENS[mode],
    rows: Math.max(1, Math.floor(LOGITS[mode] / config.vocabulary)),
    kept: mode === 'layered' ? KEPT_BUDGET : 0,
  };
}

/**
 * How many threads compute micro-batches of up to `tokens` padded tokens side by side. Layer by layer, all share one. Unlike the
 * plan it changes no bit of any result, so it may depend on the machine.
 */
export function trainingShards(config: ModelConfig, threads: number, tokens: number): number {
  const plan = planComputation(config);
  if (plan.mode === 'layered') return 1;
  const { activations, gradients, logits } = placeBytes(config, plan, tokens, layoutOf(config).total, 1);
  return Math.max(1, Math.min(threads, Math.floor(PLACES_BUDGET / (activations + gradients + logits))));
}

/**
 * What one thread takes for micro-batches in one graph; `trained` parameters have a gradient. The graph of each of `losses` keeps
 * what its runs have needed (session.ts): activations counted as if all were held at once, which none of them is.
 */
function placeBytes(config: ModelConfig, plan: ComputationPlan, tokens: number, trained: number, losses: number) {
  return {
    activations: losses * activationBytes(config, tokens),
    // One that is computed, one that waits to be added.
    gradients: 2 * 4 * trained,
    logits: losses * logitBytes(config, plan, tokens),
  };
}

/** Six at a time, and what the library holds besides (fitted to the peaks in bench/results.md). */
function logitBytes({ vocabulary }: ModelConfig, { rows }: ComputationPlan, tokens: number): number {
  return 8 * 4 * Math.min(rows, tokens) * vocabulary;
}

/** Bytes that all layers keep for the way back in a micro-batch of one sequence of `tokens`, without the head. */
export function activationBytes(config: ModelConfig, tokens: number): number {
  return 4 * config.layers * layerActivations(config, tokens);
}

/**
 * Bytes that results of products may take for the way back in the next batch. It may depend on free memory since it changes no bit, and
 * is no part of what a run needs.
 */
export function keptLimit({ kept }: Pick<ComputationPlan, 'kept'>, available = process.availableMemory()): number {
  return Math.max(0, Math.min(kept, available - KEPT_RESERVE));
}

/** Bytes of what the products of all layers give for `tokens` tokens, padding counted, that is kept for the way back. */
export function keptBytes(config: ModelConfig, tokens: number): number {
  const columns = keptProducts(config).reduce((sum, product) => sum + product.columns, 0);
  return 4 * config.layers * tokens * columns;
}

/**
 * Elements: x, norms, residuals; q, k, v, turned and regrouped; keys and values as each level sees them, those below it
 * too; attention's p and ds; the MLP's four. A level sees (LEVELS + 1) / (2 LEVELS) of its sequence on average.
 */
function layerActivations(config: ModelConfig, tokens: number): number {
  const { hidden, heads, keyValueHeads, headSize, intermediate } = config;
  const keysAndValues = (6 + LEVELS + 1) * keyValueHeads * headSize;
  const perToken = 5 * hidden + 4 * heads * headSize + keysAndValues + 4 * intermediate;
  return tokens * (perToken + 2 * heads * Math.min(tokens, 512) * ((LEVELS + 1) / (2 * LEVELS)));
}

/** Something that takes memory. */
export interface MemoryPart {
  readonly name: string;
  readonly bytes: number;
}

export interface TrainingLoad {
  /** Rank of the adapter that is trained; null: all weights are. */
  readonly adapterRank: number | null;
  /** A copy of the weights is kept: as KL anchor, or as teacher. */
  readonly frozen: boolean;
  /** Longest sequence, in tokens. */
  readonly sequenceTokens: number;
  readonly threads: number;
  /** How many losses the process has computed with when it computes with this one, each in a graph of its own. */
  readonly losses: number;
}

/** What `accumulate` and `step` take at most, the weights included. */
export function trainingMemory(config: ModelConfig, load: TrainingLoad): MemoryPart[] {
  const plan = planComputation(config);
  const weights = 4 * layoutOf(config).total;
  const { adapterRank: rank, sequenceTokens, threads, losses } = load;
  const trained = rank === null ? weights : 4 * adapterLayoutOf(config, rank).total;
  const tokens = Math.max(plan.tokens, sequenceTokens);
  return [
    { name: 'weights', bytes: weights },
    ...(rank === null
      ? []
      : [
          { name: 'adapter', bytes: trained },
          { name: 'weights with the adapter', bytes: weights },
        ]),
    ...(load.frozen ? [{ name: 'frozen copy', bytes: weights }] : []),
    { name: 'gradient', bytes: trained },
    { name: 'moments of AdamW', bytes: 2 * trained },
    ...(plan.mode === 'whole'
      ? inOneGraph(placeBytes(config, plan, tokens, trained / 4, losses), trainingShards(config, threads, tokens))
      : layerByLayer(config, plan, load)),
  ];
}

function inOneGraph({ activations, gradients, logits }: ReturnType<typeof placeBytes>, places: number): MemoryPart[] {
  return [
    { name: 'gradients of micro-batches', bytes: places * gradients },
    { name: 'activations', bytes: places * activations },
    { name: 'logits', bytes: places * logits },
  ];
}

function layerByLayer(
  config: ModelConfig,
  plan: ComputationPlan,
  { adapterRank, sequenceTokens }: TrainingLoad,
): MemoryPart[] {
  const { hidden, layers, vocabulary } = config;
  const tokens = Math.max(plan.tokens, sequenceTokens);
  const sequences = Math.max(1, Math.floor(plan.tokens / sequenceTokens));
  // A layer that is computed again holds its activations and their gradients at once.
  const oneLayer = 4 * layerActivations(config, Math.min(sequenceTokens, tokens)) * sequences;
  const headGradient = adapterRank === null ? 2 * 4 * vocabulary * hidden : 0;
  return [
    { name: 'activations', bytes: 4 * (layers + 3) * tokens * hidden + 2 * oneLayer },
    { name: 'logits', bytes: logitBytes(config, plan, tokens) + headGradient },
  ];
}

export interface SamplingLoad {
  /** Sampled at a time. */
  readonly sequences: number;
  /** The longest, prompt included. */
  readonly sequenceTokens: number;
  /** Of a weight. */
  readonly bits: number;
  readonly threads: number;
}

/**
 * What sampling takes at most: each sampler has the weights in a form of its own, and a store of its own. A sequence that waits for
 * its next turn keeps the pages that it will go on with; what ended sequences left for others comes on top.
 */
export function samplingMemory(config: ModelConfig, load: SamplingLoad): MemoryPart[] {
  const { sequences, sequenceTokens, bits, threads } = load;
  const { layers, keyValueHeads, headSize, vocabulary } = config;
  const parameters = layoutOf(config).total;
  const { samplers } = samplerPlan(parameters, threads);
  const cache = 2 * 4 * layers * keyValueHeads * headSize * sequences * sequenceTokens;
  return [
    {
      name: samplers === 1 ? "sampler's weights" : `weights of ${samplers} samplers`,
      bytes: (samplers * 4 * parameters * bits) / 32,
    },
    { name: 'key-value cache', bytes: cache + samplers * REST_BYTES },
    { name: "sampler's logits", bytes: 4 * 4 * sequences * vocabulary },
  ];
}
