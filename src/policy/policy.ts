/**
 * The engine's contract: everything that algorithms and engines share.
 *
 * Algorithms write per-token streams and never see a tensor; engines compute on token ids and never see a tag.
 * Engines differ: what one can do stands in its `capabilities`, and what it need not report is optional or null, which means
 * "not measured" everywhere. `policyContract` (contract.testing.ts) holds every engine to this file.
 *
 * Streams are aligned with the sequence's ids: entry t belongs to ids[t], whose probability is conditioned on ids[0..t-1].
 * Entry 0 is never read, since nothing precedes it.
 */
import type { StreamKey } from '../base/random.ts';

/** Token ids: whole numbers in [0, vocabulary). */
export type TokenIds = readonly number[];

export interface PolicyInfo {
  /** E.g. "onnx". */
  readonly engine: string;
  readonly vocabulary: number;
  /** Longest sequence, prompt and continuation together, in tokens. */
  readonly contextLength: number;
  readonly parameters?: number;
  /** That compute, on this machine. */
  readonly threads?: number;
}

/** What an engine can do and promises; asked before a run begins, and recorded with it. */
export interface Capabilities {
  /** The same calls give the same bits. */
  readonly deterministic: boolean;
  /**
   * Whether samples are drawn from the very distribution that `logprobs` speaks of. An approximate one's log-probabilities
   * are its own; those of the policy have to be asked for.
   */
  readonly sampler: 'exact' | 'approximate';
  /** A `train` whose minGradientNorm is Infinity computes everything and changes nothing: how speed is measured. */
  readonly dryRun: boolean;
  readonly divergences: readonly Divergence[];
  /** Whether a divergence can be cut entry by entry (`DivergenceBatch.clip` below Infinity). */
  readonly pointwiseClip: boolean;
  /** Weights of a `SoftCrossEntropyBatch`: any, none below 0, one a row (k = 1), or the loss is not there. */
  readonly softTargets: 'signed' | 'non-negative' | 'single' | 'none';
  /** Largest k of `topLogprobs`; 0 where there is none. */
  readonly topLogprobs: number;
  /** Which weights `freeze` can keep: those present at any time, those the engine was opened with, or none. */
  readonly frozen: 'any' | 'initial' | 'none';
  /** attachable: as the verbs say. always: one is trained from the start and never merged. never: all weights are trained. */
  readonly adapter: 'attachable' | 'always' | 'never';
  readonly optimizer: {
    /** `restore` can begin with a fresh optimiser. */
    readonly fresh: boolean;
    /** `clipNorm` is kept to. */
    readonly clip: boolean;
    /** Betas and epsilon may differ from step to step. */
    readonly betasPerStep: boolean;
    /** `StepResult.gradientNorm` is reported. `minGradientNorm` is kept to where `dryRun` is true; elsewhere by steps without any gradient. */
    readonly gradientNorm: boolean;
  };
  /**
   * What `save` leaves in a folder: the weights themselves, or a file that names where they are; 'one handle' where only the first
   * state of a policy can be kept, and others are refused.
   */
  readonly checkpoints: 'files' | 'handles' | 'one handle';
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

export interface SampleOptions {
  readonly signal?: AbortSignal;
  /**
   * Called as tokens come, with all new ones so far; the last call may come before the end. What it has been given is the
   * beginning of the sample. A stop token is not among them.
   */
  readonly onTokens?: (ids: TokenIds) => void;
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
export const DIVERGENCES = ['forward-kl', 'reverse-kl', 'jsd'] as const;
export type Divergence = (typeof DIVERGENCES)[number];

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

/**
 * One sequence with k weighted tokens at each of its positions from `start` on. Row n, of N = ids.length − start, is about
 * the distribution that predicts ids[start + n], given all ids before it.
 */
export interface SoftTargets {
  readonly ids: TokenIds;
  /** At least 1, since nothing precedes entry 0. */
  readonly start: number;
  /** [N]: 1 on rows that count, else 0. */
  readonly mask: Uint8Array;
  /** At least 1. */
  readonly k: number;
  /** [N, k], row by row; each in [0, vocabulary). */
  readonly tokens: Int32Array;
  /** [N, k]; 0 where a slot is not used. They need not add up to 1. */
  readonly weights: Float32Array;
}

/** loss = −1/denominator Σ_n mask_n Σ_k weights_nk log π(tokens_nk | ids before row n). */
export interface SoftCrossEntropyBatch {
  readonly loss: 'soft-cross-entropy';
  readonly sequences: readonly SoftTargets[];
  readonly denominator: number;
}

export type LossBatch = PolicyGradientBatch | CrossEntropyBatch | DivergenceBatch | SoftCrossEntropyBatch;

export interface LossResult {
  /** The loss as defined above, over the whole batch. */
  readonly loss: number;
  /** Number of tokens with a non-zero mask or weight. */
  readonly tokens: number;
  /** Means over those tokens unless the name says otherwise; finite. Absent: not measured. */
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
  /**
   * One stream a sequence or pair; absent: not measured. Divergences: that of each token of a pair without the clip;
   * cross-entropy: log-probabilities; soft cross-entropy: the loss of each row. 0 where masked.
   */
  readonly perToken?: readonly Float32Array[];
}

// --------------------------------------------------------------------------------------------------------- optimiser

/** AdamW with decoupled weight decay, one step on the sum of the batches' gradients. */
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
  /** Before clipping; null where the engine does not say. */
  readonly gradientNorm: number | null;
  /** Whether nothing moved, by `minGradientNorm`. */
  readonly skipped: boolean;
}

/** A step that moves nothing, on an engine whose `capabilities.dryRun` is true. */
export const DRY_STEP: AdamWStep = {
  learningRate: 0,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  clipNorm: 1,
  minGradientNorm: Number.POSITIVE_INFINITY,
};

/** LoRA on every linear layer of the blocks: W + (alpha / rank) B A, B starts at zero, A at normal(0, 1/√in). */
export interface AdapterConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly key: StreamKey;
}

/** What `train` rejects with when a loss or gradient is not finite; names the tensor or sequence. */
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

/** The k likeliest next tokens at the rows of a sequence (as in `SoftTargets`), the likeliest first. */
export interface TopLogprobs {
  /** [N, k], row by row. */
  readonly tokens: Int32Array;
  /** [N, k]: log π of each, at temperature 1, over the whole vocabulary. */
  readonly logprobs: Float32Array;
}

export interface Sampler {
  readonly info: PolicyInfo;
  readonly capabilities: Capabilities;

  /** One continuation. Concurrent calls are batched by the engine; the result does not depend on what shares the batch. */
  sample(request: SampleRequest, options?: SampleOptions): Promise<Sample>;
  /** Forgets what was kept for a session. Unknown sessions are ignored. */
  release(session: string): void;
}

/**
 * A sampler that is trained. Calls keep their order, awaited or not: each sees the weights as the calls before it left them,
 * and none after it.
 */
export interface Policy extends Sampler {
  /** log π of given ids at temperature 1, a stream per sequence (entry 0 is 0). */
  logprobs(
    sequences: readonly TokenIds[],
    weights: 'present' | 'frozen',
    options?: CallOptions,
  ): Promise<Float32Array[]>;
  /** @throws when k is above `capabilities.topLogprobs` */
  topLogprobs(
    sequences: readonly Pick<SoftTargets, 'ids' | 'start'>[],
    k: number,
    weights: 'present' | 'frozen',
    options?: CallOptions,
  ): Promise<TopLogprobs[]>;

  /**
   * Forward and backward of the batches in their order, whose gradients are added up, then one optimiser step: of the adapter
   * when one is attached, else of all weights.
   *
   * When it rejects (with the signal's reason when aborted), weights and optimiser may be anything: `restore` is the only
   * call that may follow.
   */
  train(
    batches: readonly LossBatch[],
    step: AdamWStep,
    options?: CallOptions,
  ): Promise<{ readonly losses: readonly LossResult[]; readonly update: StepResult }>;

  /** Keeps a copy of the present weights (adapter not included) as the frozen ones: KL anchor of GRPO, teacher of distillation. */
  freeze(): Promise<void>;

  attachAdapter(config: AdapterConfig): Promise<void>;
  /** Adds the adapter to the weights in float32 and removes it, its gradient and its moments. */
  mergeAdapter(): Promise<void>;

  /** Writes weights, adapter and optimiser state into a folder, exactly. The frozen copy is not included. */
  save(folder: string): Promise<void>;
  /**
   * Brings back what was saved: weights and adapter, with the optimiser as it was, or fresh (no moments, step count 0). The
   * frozen copy stays what it is.
   */
  restore(folder: string, options: { readonly optimizer: 'kept' | 'fresh' }): Promise<void>;
  /**
   * Lets go of what a saved folder stands for outside of itself, before the caller removes it. Resolves also when there is
   * nothing (left) to let go of.
   */
  discard(folder: string): Promise<void>;

  /** Ends the engine and its threads; pending calls reject. */
  close(): Promise<void>;
}
