/**
 * How a model is computed (as one graph, or layer by layer where its activations would take too much memory), and what
 * memory training and sampling take, by part. Sizes of arrays are exact; activations are counted, not measured.
 */
import { adapterLayoutOf, layoutOf, type ModelConfig } from './parameters.ts';

export interface ComputationPlan {
  /** One graph for the whole model, or layer by layer with each layer computed again on the way back. */
  readonly mode: 'whole' | 'layered';
  /** Padded tokens of a micro-batch; a longer sequence is computed alone. */
  readonly tokens: number;
  /** Rows of logits that are held at a time. */
  readonly rows: number;
}

/** Activations of a whole graph may take so much; above it, the model is computed layer by layer. */
const ACTIVATION_BUDGET = 2 ** 30;
/** Padded tokens of a micro-batch, as many as the budget allows: each node of a graph costs the same for few as for many. */
const TOKENS = [4096, 2048, 1024];
/** Elements of one [rows, vocabulary] tensor, of which a loss holds about six: 32 MiB each in float32. */
const LOGITS = { whole: 2 ** 23, layered: 2 ** 25 };

/** What the session store keeps at most. */
const SESSION_STORE_BYTES = 2 ** 30;

/** Depends on the model alone, so that the same run gives the same bits on machines with more or less memory. */
export function planComputation(config: ModelConfig): ComputationPlan {
  const fitting = TOKENS.find((tokens) => activationBytes(config, tokens) <= ACTIVATION_BUDGET);
  const mode = fitting === undefined ? 'layered' : 'whole';
  return {
    mode,
    tokens: fitting ?? 2048,
    rows: Math.max(1, Math.floor(LOGITS[mode] / config.vocabulary)),
  };
}

/** Bytes that all layers keep for the way back in a micro-batch of one sequence of `tokens`, without the head. */
export function activationBytes(config: ModelConfig, tokens: number): number {
  return 4 * config.layers * layerActivations(config, tokens);
}

/** Elements: x, norms, residuals; q, k, v, turned and regrouped; attention's p and ds over blocks; the MLP's four. */
function layerActivations(config: ModelConfig, tokens: number): number {
  const { hidden, heads, keyValueHeads, headSize, intermediate } = config;
  const perToken = 5 * hidden + 4 * heads * headSize + 6 * keyValueHeads * headSize + 4 * intermediate;
  return tokens * (perToken + 2 * heads * Math.min(tokens, 512) * 0.625);
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
}

/** What `accumulate` and `step` take at most, the weights included. */
export function trainingMemory(config: ModelConfig, load: TrainingLoad): MemoryPart[] {
  const plan = planComputation(config);
  const weights = 4 * layoutOf(config).total;
  const { adapterRank: rank } = load;
  const trained = rank === null ? weights : 4 * adapterLayoutOf(config, rank).total;
  const tokens = Math.max(plan.tokens, load.sequenceTokens);
  const sequences = Math.max(1, Math.floor(plan.tokens / load.sequenceTokens));
  const oneSequence = (layers: number) =>
    4 * layers * layerActivations(config, Math.min(load.sequenceTokens, tokens)) * sequences;
  const { hidden, layers, vocabulary } = config;
  // A layer that is computed again holds its activations and their gradients at once.
  const activations =
    plan.mode === 'whole' ? 1.5 * oneSequence(layers) : 4 * (layers + 3) * tokens * hidden + 2 * oneSequence(1);
  const headGradient = plan.mode === 'layered' && rank === null ? 2 * 4 * vocabulary * hidden : 0;
  return [
    { name: 'weights', bytes: weights },
    ...(rank === null
      ? []
      : [
          { name: 'adapter', bytes: trained },
          { name: 'weights with the adapter', bytes: weights },
        ]),
    ...(load.frozen ? [{ name: 'frozen copy', bytes: weights }] : []),
    { name: 'gradient', bytes: plan.mode === 'whole' ? 2 * trained : trained },
    { name: 'moments of AdamW', bytes: 2 * trained },
    { name: 'activations', bytes: activations },
    // Six at a time, and what the library holds besides (fitted to the peaks in bench/results.md).
    { name: 'logits', bytes: 8 * 4 * Math.min(plan.rows, tokens) * vocabulary + headGradient },
  ];
}

/** What sampling so many sequences at a time takes at most: the sampler has the weights in a form of its own. */
export function samplingMemory(
  config: ModelConfig,
  { sequences, sequenceTokens, bits }: { sequences: number; sequenceTokens: number; bits: number },
): MemoryPart[] {
  const { layers, keyValueHeads, headSize, vocabulary } = config;
  const cache = 2 * 4 * layers * keyValueHeads * headSize * sequences * sequenceTokens;
  return [
    { name: "sampler's weights", bytes: (4 * layoutOf(config).total * bits) / 32 },
    // Twice: rows in use, and what sequences left for their next turn (bounded by the session store).
    { name: 'key-value cache', bytes: cache + Math.min(cache, SESSION_STORE_BYTES) },
    { name: "sampler's logits", bytes: 4 * 4 * sequences * vocabulary },
  ];
}
