/** How a model is computed: as one graph, or layer by layer where its activations would take too much memory. */
import type { ModelConfig } from './parameters.ts';

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
/** Padded tokens of a micro-batch: 512 to 2,048 are equally fast. */
const TOKENS = 1024;
/** Elements of one [rows, vocabulary] tensor, of which a loss holds about six: 32 MiB each in float32. */
const LOGITS = { whole: 2 ** 23, layered: 2 ** 25 };

/** Depends on the model alone, so that the same run gives the same bits on machines with more or less memory. */
export function planComputation(config: ModelConfig): ComputationPlan {
  const mode = activationBytes(config, TOKENS) <= ACTIVATION_BUDGET ? 'whole' : 'layered';
  return {
    mode,
    tokens: mode === 'whole' ? TOKENS : 2 * TOKENS,
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
