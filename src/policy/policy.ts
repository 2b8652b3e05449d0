/**
 * The engine's contract: everything that algorithms and engines share.
 *
 * Algorithms write per-token streams and never see a tensor; engines compute on token ids and never see a tag.
 * The verbs map one to one onto the training APIs of distributed engines (forward_backward, optim_step, sample, save).
 *
 * Streams are aligned with the sequence's ids: entry t belongs to ids[t], whose probability is conditioned on ids[0..t-1].
 * Entry 0 is never read, since nothing precedes it.
 */
import type { StreamKey } from '../base/random.ts';

/** Token ids: whole numbers in [0, vocabulary). */
export type TokenIds = readonly number[];

export interface PolicyInfo {
  readonly engine: string;
  /** E.g. "qwen2". */
  readonly family: string;
  readonly parameters: number;
  readonly vocabulary: number;
  /** Longest sequence, prompt and continuation together, in tokens. */
  readonly contextLength: number;
  readonly threads: number;
  /**
   * Bits of a weight in sampling. Below 32 the sampler is an approximation of the policy: its log-probabilities differ
   * from those of `logprobs`, which are the policy's own.
   */
  readonly decodeBits: 32 | 8 | 4;
}

// ---------------------------------------------------------------------------------------------------------- sampling

export interface SampleRequest {
  readonly prompt: TokenIds;
  /** At most this many new tokens, at least 1. */
  readonly maxTokens: number;
  /** 0 = greedy; otherwise the softmax is taken over logits / temperature. */
  readonly temperature: number;
  /** Only the k most probable tokens, at least 1. Absent: all. Applied after the temperature, before topP. */
  readonly topK?: number;
  /** Only the fewest most probable tokens that hold this share of the mass, in (0, 1]. Absent: 1, all. */
  readonly topP?: number;
  /** Sampling ends with the token whose text completes one of these strings (looked for in the new tokens' text alone). */
  readonly stop: readonly string[];
  /** Sampling also ends with one of these tokens, e.g. the end of a chat turn. */
  readonly stopTokens: TokenIds;
  /** The stream of this request; the n-th new token is a function of (prompt, key, offset + n) alone. */
  readonly key: StreamKey;
  /** Position in the stream of the first new token, so that the turns of one rollout share one stream. Default 0. */
  readonly offset?: number;
  /** Requests of one session extend one another; the engine may keep what it computed for them until `release`. */
  readonly session?: string;
}

export interface Sample {
  /** The new tokens, the stopping one included. */
  readonly ids: TokenIds;
  /**
   * log p of each new token under the distribution that it was drawn from: temperature applied, and with topK or topP
   * taken over the kept tokens alone. Under the full distribution at temperature 1 when greedy.
   */
  readonly logprobs: readonly number[];
  readonly stop: 'stop' | 'stop-token' | 'length' | 'context';
}

// ------------------------------------------------------------------------------------------------------------ losses

/** One trajectory for the clipped policy gradient; all streams have ids.length entries. */
export interface PolicyGradientSequence {
  readonly ids: TokenIds;
  /** 1 on tokens that the policy wrote, else 0: who wrote a token, never what it is. */
  readonly mask: Uint8Array;
  readonly advantages: Float32Array;
  /** log π_old of each token, from the sampler. */
  readonly oldLogprobs: Float32Array;
  /** log π_ref of each token, for the KL term; absent when klCoefficient is 0. */
  readonly referenceLogprobs?: Float32Array;
}

/** loss = −1/denominator Σ_t mask_t [ min(ρ A, clip(ρ, 1−low, 1+high) A) − β (e^Δ − Δ − 1) ],  ρ = π/π_old, Δ = log π_ref − log π. */
export interface PolicyGradientBatch {
  readonly loss: 'policy-gradient';
  readonly sequences: readonly PolicyGradientSequence[];
  readonly clipLow: number;
  readonly clipHigh: number;
  /** β, ≥ 0. */
  readonly klCoefficient: number;
  readonly denominator: number;
}

/** loss = −1/denominator Σ_t weights_t log π(ids_t). */
export interface CrossEntropyBatch {
  readonly loss: 'cross-entropy';
  readonly sequences: readonly { readonly ids: TokenIds; readonly weights: Float32Array }[];
  readonly denominator: number;
}

/** One student continuation under two prompts. */
export interface DivergencePair {
  readonly teacherPrompt: TokenIds;
  readonly studentPrompt: TokenIds;
  readonly ids: TokenIds;
  /** Over ids (not the prompts): 1 where the divergence is taken. Entry 0 counts here: its context is the prompt. */
  readonly mask: Uint8Array;
}

/**
 * How far the student's distribution is from the teacher's, a sum of l(v) over the vocabulary; each is 0 where both are equal.
 *
 *   forward-kl   l = p_T (log p_T − log p_S)
 *   reverse-kl   l = p_S (log p_S − log p_T)
 *   jsd          l = ½ p_T (log p_T − log m) + ½ p_S (log p_S − log m),  m = ½ (p_T + p_S);  never above ½ ln 2
 */
export type Divergence = 'forward-kl' | 'reverse-kl' | 'jsd';

/**
 * loss = 1/denominator Σ_n mask_n Σ_v min(l(n,v), clip).
 * Teacher: the frozen weights with the adapter switched off (see `freeze`), logits divided by teacherTemperature, no gradient.
 * Student: the present weights with the adapter on.
 */
export interface DivergenceBatch {
  readonly loss: Divergence;
  readonly pairs: readonly DivergencePair[];
  /** Pointwise upper clip τ: an entry above it counts τ and has no gradient. Infinity switches it off. */
  readonly clip: number;
  readonly teacherTemperature: number;
  readonly denominator: number;
}

export type LossBatch = PolicyGradientBatch | CrossEntropyBatch | DivergenceBatch;

export interface LossResult {
  /** The loss as defined above, over the whole batch. */
  readonly loss: number;
  /** Number of tokens with a non-zero mask or weight. */
  readonly tokens: number;
  /** Means over those tokens unless the name says otherwise. */
  readonly metrics: {
    /** Entropy of the present policy (student), in nats. */
    readonly entropy?: number;
    /** policy-gradient: mean k3 KL to the reference. */
    readonly referenceKl?: number;
    /** policy-gradient: share of tokens whose clipped branch was taken. Divergences: share of tokens with an entry cut at τ. */
    readonly clipFraction?: number;
    /** policy-gradient: largest |ρ − 1|. */
    readonly maxRatioDeviation?: number;
    /** Divergences: mean without the clip, in nats. */
    readonly divergence?: number;
    /** Divergences: mean entropy of the teacher, in nats. */
    readonly teacherEntropy?: number;
  };
  /** Divergences: that of each token of each pair without the clip (0 where masked); cross-entropy: log-probabilities. */
  readonly perToken?: readonly Float32Array[];
}

// --------------------------------------------------------------------------------------------------------- optimiser

/** AdamW with decoupled weight decay, one step on what `accumulate` has added up since the last step. */
export interface AdamWStep {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** The gradient is scaled down to this global L2 norm when it is larger. */
  readonly clipNorm: number;
  /**
   * When the global norm is below this, nothing moves (weights, moments, step count): Adam divides by √v and would
   * turn rounding noise into full-size steps. 0 switches the rule off.
   */
  readonly minGradientNorm: number;
}

export interface StepResult {
  /** Before clipping. */
  readonly gradientNorm: number;
  readonly skipped: boolean;
}

/** LoRA on every linear layer of the blocks: W + (alpha / rank) B A, B starts at zero, A at normal(0, 1/√in). */
export interface AdapterConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly key: StreamKey;
}

/** Thrown by `accumulate` and `step` when a loss or gradient is not finite; names the tensor or sequence. Weights are untouched. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';
}

// ---------------------------------------------------------------------------------------------------------- contract

/** How a long call is followed and stopped. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Called now and then with how many of the batch's parts are done, the last time perhaps before all are. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Policy {
  readonly info: PolicyInfo;

  /** One continuation. Concurrent calls are batched by the engine; the result does not depend on what shares the batch. */
  sample(request: SampleRequest, signal?: AbortSignal): Promise<Sample>;
  /** Forgets what was kept for a session. Unknown sessions are ignored. */
  release(session: string): void;

  /** log π of given ids at temperature 1, a stream per sequence (entry 0 is 0). */
  logprobs(sequences: readonly TokenIds[], weights: 'present' | 'frozen', watch?: CallOptions): Promise<Float32Array[]>;

  /**
   * Forward and backward of one loss; adds to the gradient (of the adapter when one is attached, else of all weights).
   * When it rejects, which it does with the signal's reason when aborted, all of the gradient added up so far is dropped.
   */
  accumulate(batch: LossBatch, watch?: CallOptions): Promise<LossResult>;
  /** One optimiser step; clears the gradient. */
  step(settings: AdamWStep): Promise<StepResult>;
  /** Forgets moments and step count (each stage starts with a fresh optimiser). */
  resetOptimizer(): Promise<void>;

  /** Keeps a copy of the present weights (adapter not included) as the frozen ones: KL anchor of GRPO, teacher of distillation. */
  freeze(): Promise<void>;

  attachAdapter(config: AdapterConfig): Promise<void>;
  /** Adds the adapter to the weights in float32 and removes it, its gradient and its moments. */
  mergeAdapter(): Promise<void>;

  /** Writes weights, adapter and optimiser state into a folder, exactly; `restore` brings back all of it. The frozen copy is not included. */
  save(folder: string): Promise<void>;
  restore(folder: string): Promise<void>;

  /** Ends the engine and its threads; pending calls reject. */
  close(): Promise<void>;
}
