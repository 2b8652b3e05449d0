/** How the mock behaves: a switch for each difference between servers (profiles.ts) and each of their traps. */
import type { ProfileName } from '../profiles.ts';

export interface Dialect {
  /** What forward and forward_backward are taken in: 415 to JSON, 422 to Protocol Buffers, where it is the other alone. */
  readonly encodings: 'json' | 'both' | 'protobuf';
  /** A request that comes again under its seq_id. */
  readonly repeated: 'once' | 'twice under one id' | 'twice under two ids';
  /** A request whose seq_id leaves a gap. */
  readonly gaps: 'ignored' | 'refused';
  readonly reduction: 'sum' | 'mean-of-weights' | 'mean-of-datums';
  /** Tables of targets: taken, taken with exact zeros raised to e^−10, refused, or cut to their first column in silence. */
  readonly tables: 'signed' | 'zeros leak' | 'refused' | 'cut';
  /** Targets that are not the input shifted are taken. */
  readonly freeTargets: boolean;
  readonly topLogprobs: number;
  /** Entry 0 of prompt_logprobs. */
  readonly firstLogprob: 'null' | 'missing';
  /** One sample at temperature 1 is greedy, and top_k −1 means 50. */
  readonly greedyAtOne: boolean;
  /** A sampling session of a model: a copy, the live weights, or an error inside a 200 once they have changed. */
  readonly sampler: 'copy' | 'live' | 'stale error';
  /** Log-probabilities in answers to forward_backward. */
  readonly trainingLogprobs: 'own' | 'zeros' | 'echo';
  readonly maskKey: 'mask' | 'weights' | null;
  readonly clip: boolean;
  readonly gradientNorm: string | null;
  /** A model's later saves are copies of its first. */
  readonly savesOnce: boolean;
  readonly load: 'any' | 'first';
  /** load_weights without the optimiser: it is fresh, or stays. */
  readonly optimizerFalse: 'fresh' | 'kept';
  /** A result is handed out once. */
  readonly resultOnce: boolean;
  /** create_sampling_session answers with a promise. */
  readonly promisedSession: boolean;
  readonly unload: boolean;
  readonly keyPrefix: string;
}

const usual: Dialect = {
  encodings: 'json',
  repeated: 'once',
  gaps: 'ignored',
  reduction: 'sum',
  tables: 'signed',
  freeTargets: true,
  topLogprobs: 1000,
  firstLogprob: 'null',
  greedyAtOne: false,
  sampler: 'copy',
  trainingLogprobs: 'own',
  maskKey: 'weights',
  clip: true,
  gradientNorm: null,
  savesOnce: false,
  load: 'any',
  optimizerFalse: 'fresh',
  resultOnce: false,
  promisedSession: false,
  unload: true,
  keyPrefix: '',
};

export const dialects: Readonly<Record<ProfileName, Dialect>> = {
  verl: {
    ...usual,
    repeated: 'twice under two ids',
    tables: 'zeros leak',
    freeTargets: false,
    topLogprobs: 20,
    sampler: 'stale error',
    trainingLogprobs: 'echo',
    maskKey: 'mask',
    clip: false,
    optimizerFalse: 'kept',
    resultOnce: true,
    unload: false,
    keyPrefix: 'tml',
  },
  skyrl: {
    ...usual,
    encodings: 'both',
    tables: 'refused',
    freeTargets: false,
    topLogprobs: 20,
    clip: false,
    load: 'first',
  },
  'skyrl-jax': {
    ...usual,
    gaps: 'refused',
    reduction: 'mean-of-datums',
    tables: 'refused',
    topLogprobs: 0,
    firstLogprob: 'missing',
    clip: false,
    gradientNorm: 'skyrl.ai/grad_norm',
    load: 'first',
    optimizerFalse: 'kept',
  },
  hatchery: {
    ...usual,
    repeated: 'twice under one id',
    reduction: 'mean-of-weights',
    greedyAtOne: true,
    savesOnce: true,
    sampler: 'live',
    optimizerFalse: 'kept',
    promisedSession: true,
  },
  openrl: {
    ...usual,
    encodings: 'both',
    tables: 'cut',
    topLogprobs: 0,
    gradientNorm: 'grad_norm',
    optimizerFalse: 'kept',
  },
  // Refuses a repeated request as one out of order.
  tuft: {
    ...usual,
    encodings: 'protobuf',
    maskKey: null,
    gaps: 'refused',
    repeated: 'twice under two ids',
    tables: 'refused',
    topLogprobs: 20,
  },
  hosted: { ...usual, encodings: 'protobuf', maskKey: null, topLogprobs: 20, load: 'first', keyPrefix: 'tml-' },
};
