/**
 * The model families that the engines compute, and what they differ in. All are decoders with RMSNorm before attention and
 * MLP, grouped-query attention, half-split rotary positions and SwiGLU.
 */

interface FamilyTraits {
  /** The class that transformers builds, `architectures` in config.json. */
  readonly architecture: string;
  /** The projections to queries, keys and values have biases. */
  readonly qkvBias: boolean;
  /** RMSNorm over each head of queries and keys (one weight [headSize] for all heads), before they are turned. */
  readonly qkNorm: boolean;
}

export const FAMILIES = {
  /** Qwen2 and Qwen2.5. */
  qwen2: { architecture: 'Qwen2ForCausalLM', qkvBias: true, qkNorm: false },
  qwen3: { architecture: 'Qwen3ForCausalLM', qkvBias: false, qkNorm: true },
  /** Llama 1 to 3.x, and the many models that use its code. */
  llama: { architecture: 'LlamaForCausalLM', qkvBias: false, qkNorm: false },
} as const satisfies Record<string, FamilyTraits>;

export type Family = keyof typeof FAMILIES;
