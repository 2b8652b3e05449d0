/** What the process, the engine's thread and its further threads say to one another. */
import { UserError } from '../../base/errors.ts';
import {
  type LossBatch,
  type LossResult,
  NonFiniteError,
  type Policy,
  type Sample,
  type SampleRequest,
  type TokenIds,
} from '../../policy/policy.ts';
import type { Hand } from './adamw.ts';
import type { DecodeBits } from './decode-graph.ts';
import type { Task } from './model-runner.ts';
import { outOfMemory } from './out-of-memory.ts';
import type { ModelConfig } from './parameters.ts';
import type { SharedFloats } from './shared-floats.ts';
import type { Done } from './turns.ts';

/** Running totals of sampling since the engine was opened. */
export interface SamplingTotals {
  readonly sampledTokens: number;
  /** Prompt tokens that were computed; beginnings that the cache held do not count. */
  readonly prefilledTokens: number;
  /** Spent on sampling, `loadSeconds` included; of several sampling threads, that of the busiest. */
  readonly sampleSeconds: number;
  /** Spent on bringing changed weights into the sampler. */
  readonly loadSeconds: number;
}

/** Running totals since the engine was opened. */
export interface EngineStatistics extends SamplingTotals {
  /** Tokens of the sequences given to `accumulate` (of a pair: those of both sides). */
  readonly trainedTokens: number;
  /** Spent on `accumulate` and `step`. */
  readonly trainSeconds: number;
  /** Tokens of the sequences given to `logprobs`, and the time spent on it. */
  readonly scoredTokens: number;
  readonly scoreSeconds: number;
}

/** What the worker does, by name. */
export interface Verbs
  extends Pick<Policy, 'step' | 'resetOptimizer' | 'freeze' | 'attachAdapter' | 'mergeAdapter' | 'save' | 'restore'> {
  sample(request: SampleRequest): Promise<Sample>;
  logprobs(sequences: readonly TokenIds[], weights: 'present' | 'frozen'): Promise<Float32Array[]>;
  accumulate(batch: LossBatch): Promise<LossResult>;
  statistics(): Promise<EngineStatistics>;
}

export interface WorkerSetup {
  readonly config: ModelConfig;
  /** Flat, as `layoutOf` says. */
  readonly weights: SharedFloats;
  readonly pieces: readonly string[];
  readonly threads: number;
  readonly maxActive: number;
  readonly decodeBits: DecodeBits;
}

/** What a further thread does. */
export interface HelperVerbs extends Hand {
  /** The effective weights, flat, for the samples that follow. They do not change while samples are under way. */
  take(version: number, weights: SharedFloats): Promise<void>;
  sample(request: SampleRequest): Promise<Sample>;
  totals(): Promise<SamplingTotals>;
  /** A share of a task; `turns` is the memory of its `Turns`. */
  compute(task: Task, turns: Int32Array<SharedArrayBuffer>): Promise<Done[]>;
}

/** A further thread's `workerData`. */
export interface HelperInput extends Pick<WorkerSetup, 'config' | 'pieces' | 'maxActive' | 'decodeBits'> {
  readonly guard: Int32Array;
}

/** The worker's `workerData`. */
export interface WorkerInput extends WorkerSetup {
  readonly guard: Int32Array;
}

/** Verbs of any worker: asynchronous functions by name. */
export type VerbTable<Table> = { readonly [V in keyof Table]: (...args: never[]) => Promise<unknown> };

export type ToWorker<Table extends VerbTable<Table> = Verbs> =
  | { readonly kind: 'call'; readonly id: number; readonly verb: keyof Table; readonly args: readonly unknown[] }
  | { readonly kind: 'abort'; readonly id: number }
  | { readonly kind: 'release'; readonly session: string }
  | { readonly kind: 'close' };

export type FromWorker =
  | { readonly id: number; readonly done: number; readonly total: number }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: ThrownError };

/** Call id 0: the worker says that it is ready. */
export const READY = 0;

/** An error as it crosses the border: structured clones forget classes and own properties. */
export interface ThrownError {
  readonly message: string;
  readonly stack: string | undefined;
  /** Present for a `UserError`. */
  readonly user?: { readonly hint: string | undefined };
  readonly kind: 'range' | 'non-finite' | 'other';
}

export function packError(thrown: unknown): ThrownError {
  const error = outOfMemory(thrown, 'engine') ?? thrown;
  if (!(error instanceof Error)) return { message: String(error), stack: undefined, kind: 'other' };
  const { message, stack } = error;
  const user = error instanceof UserError ? { user: { hint: error.hint } } : {};
  const kind = error instanceof RangeError ? 'range' : error instanceof NonFiniteError ? 'non-finite' : 'other';
  return { message, stack, kind, ...user };
}

export function unpackError({ message, stack, user, kind }: ThrownError): Error {
  if (user) return new UserError(message, user.hint === undefined ? {} : { hint: user.hint });
  const Class = kind === 'range' ? RangeError : kind === 'non-finite' ? NonFiniteError : Error;
  const error = new Class(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
