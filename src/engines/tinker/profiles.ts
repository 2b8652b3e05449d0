/**
 * How the servers that speak this protocol differ: one row a server, one column a difference that changes what is sent or
 * what can be promised. Known by running: hatchery 0.3.0, SkyRL's JAX backend; by reading: VeRL-Tinker 48ea0a7, SkyRL
 * a9564572, OpenRL bfc0f09, TuFT 102eefd, hosted Tinker by its SDK; docs/distributed.md has the table in words.
 */
import { z } from 'zod';

const profileSchema = z.strictObject({
  /** How forward and forward_backward are written, and their results and samples asked for; all else is JSON. */
  encoding: z.enum(['json', 'protobuf']),
  /** Longest time that the server holds a poll, in seconds. */
  longPollSeconds: z.number().positive(),
  /** A request that is sent again under its seq_id is carried out once. */
  executesOnce: z.boolean(),
  /**
   * Targets of cross_entropy: (N,K) with weights of any sign, (N,K) with weights of at least 0, one a token but free to differ from
   * the input, or only the input shifted.
   */
  softTargets: z.enum(['signed', 'non-negative', 'single', 'none']),
  /** Least weight of a soft target; what is smaller is raised to it. VeRL-Tinker turns exact zeros into e^−10. */
  leastWeight: z.number().min(0),
  /** Most entries of topk_prompt_logprobs; 0 = not offered. */
  topLogprobs: z.int().min(0),
  /** What can hold frozen weights: another model of the same server, the weights that it was started with, or nothing. */
  frozen: z.enum(['model', 'initial', 'none']),
  /** The sampled log-probabilities are those of the trainer's weights, or of another program (vLLM) and precision. */
  sampler: z.enum(['exact', 'approximate']),
  /** What to send for temperature 1: hatchery takes one sample at exactly 1 greedily. */
  temperatureOne: z.number().positive(),
  /** Equal prompts of one moment go in one request: the server draws the samples of a request together, but not those of several. */
  joins: z.boolean(),
  /** How "all tokens" is written as top_k: −1, or as the vocabulary's size where −1 means fifty (hatchery). */
  topKAll: z.enum(['minus-one', 'vocabulary']),
  /** The first token's entry of prompt_logprobs: null, or left out, so that the list is one shorter. */
  firstLogprob: z.enum(['null', 'missing']),
  /** How a request's tokens and datums become one loss (scale.ts). */
  reduction: z.enum(['sum', 'mean-of-weights', 'mean-of-datums']),
  /** Key of the mask beside advantages; null where there must be none. */
  maskKey: z.enum(['mask', 'weights']).nullable(),
  /** The log-probabilities in an answer to forward_backward are the model's own. */
  trainingLogprobs: z.boolean(),
  /** Metric of forward_backward that is Σ w·l over the request, for soft targets. */
  lossMetric: z.string(),
  /** grad_clip_norm and the betas of optim_step are honoured; else they are what the server was configured with. */
  clip: z.boolean(),
  betasPerStep: z.boolean(),
  /** Name of the metric of optim_step that holds the gradient's norm before clipping. */
  gradientNorm: z.string().nullable(),
  /** What save_weights keeps is a model's first save for ever: a later one is a copy of that, without a word (hatchery 0.3.0). */
  savesOnce: z.boolean(),
  /** load_weights is taken at any time, or as a model's first request only. */
  load: z.enum(['any', 'first']),
  /**
   * How a fresh optimiser is had: load_weights leaves moments out when asked, a new model has none, a step without gradient and
   * with both betas 0 clears them (the step count stays), or not at all.
   */
  freshOptimizer: z.enum(['load', 'new-model', 'cleared', 'none']),
  /** The server has a call that ends a model. */
  unload: z.boolean(),
  /** get_server_capabilities names the models that can be trained. */
  listsModels: z.boolean(),
  /** What a key has to begin with. */
  keyPrefix: z.string(),
});

export type Profile = z.infer<typeof profileSchema>;

/** Any field of a profile may be set otherwise; it is recorded with the run. */
export const profileOverrides = profileSchema.partial();

export const PROFILE_NAMES = ['verl', 'skyrl', 'skyrl-jax', 'hatchery', 'openrl', 'tuft', 'hosted'] as const;
export type ProfileName = (typeof PROFILE_NAMES)[number];

/** "All", where a server sets no bound. */
const ANY = 1_000_000;

/** What most servers agree on: sums, nulls, snapshots. */
const usual: Profile = {
  encoding: 'json',
  longPollSeconds: 300,
  executesOnce: false,
  softTargets: 'none',
  leastWeight: 0,
  topLogprobs: 0,
  frozen: 'none',
  sampler: 'approximate',
  temperatureOne: 1,
  joins: false,
  topKAll: 'minus-one',
  firstLogprob: 'null',
  reduction: 'sum',
  maskKey: 'weights',
  trainingLogprobs: true,
  lossMetric: 'loss:sum',
  clip: false,
  betasPerStep: false,
  gradientNorm: null,
  savesOnce: false,
  load: 'any',
  freshOptimizer: 'none',
  unload: true,
  listsModels: true,
  keyPrefix: '',
};

/** @param lora false: all weights are trained */
const PROFILES: Readonly<Record<ProfileName, (lora: boolean) => Profile>> = {
  verl: () => ({
    ...usual,
    longPollSeconds: 30,
    softTargets: 'non-negative',
    leastWeight: 1e-12,
    topLogprobs: 20,
    frozen: 'initial',
    maskKey: 'mask',
    trainingLogprobs: false,
    betasPerStep: true,
    unload: false,
    keyPrefix: 'tml',
  }),
  skyrl: (lora) => ({
    ...usual,
    executesOnce: true,
    // The protocol's table says "yes" without a bound; vLLM's default is 20.
    topLogprobs: 20,
    frozen: lora ? 'model' : 'none',
    load: 'first',
    freshOptimizer: 'load',
  }),
  'skyrl-jax': () => ({
    ...usual,
    executesOnce: true,
    softTargets: 'single',
    frozen: 'model',
    sampler: 'exact',
    firstLogprob: 'missing',
    reduction: 'mean-of-datums',
    betasPerStep: true,
    gradientNorm: 'skyrl.ai/grad_norm',
    // 0.3.0 passes over `optimizer` in load_weights; later ones leave the moments out (freshOptimizer: 'load').
    load: 'first',
  }),
  hatchery: (lora) => ({
    ...usual,
    longPollSeconds: 600,
    softTargets: 'signed',
    topLogprobs: ANY,
    frozen: lora ? 'model' : 'none',
    sampler: 'exact',
    temperatureOne: 0.999999,
    joins: true,
    savesOnce: true,
    topKAll: 'vocabulary',
    reduction: 'mean-of-weights',
    lossMetric: 'loss:mean',
    clip: true,
    betasPerStep: true,
    freshOptimizer: lora ? 'new-model' : 'cleared',
    listsModels: false,
  }),
  openrl: (lora) => ({
    ...usual,
    longPollSeconds: 60,
    softTargets: 'single',
    frozen: lora ? 'model' : 'none',
    sampler: 'exact',
    clip: true,
    betasPerStep: true,
    gradientNorm: 'grad_norm',
    freshOptimizer: lora ? 'new-model' : 'none',
  }),
  tuft: () => ({
    ...usual,
    encoding: 'protobuf',
    softTargets: 'single',
    // The protocol's table says "yes" without a bound; vLLM's default is 20.
    topLogprobs: 20,
    frozen: 'model',
    maskKey: null,
    clip: true,
    betasPerStep: true,
    freshOptimizer: 'load',
  }),
  hosted: () => ({
    ...usual,
    encoding: 'protobuf',
    longPollSeconds: 45,
    softTargets: 'signed',
    topLogprobs: 20,
    frozen: 'model',
    maskKey: null,
    clip: true,
    betasPerStep: true,
    load: 'first',
    freshOptimizer: 'load',
    keyPrefix: 'tml-',
  }),
};

export function profileOf(name: ProfileName, lora: boolean, overrides: z.infer<typeof profileOverrides>): Profile {
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined);
  return { ...PROFILES[name](lora), ...Object.fromEntries(given) };
}
