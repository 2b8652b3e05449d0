/** What the engine's thread and its further threads are asked to do, and what they are started with. */

import type { SharedFloats } from '../../onnx/shared-floats.ts';
import type {
  AdamWStep,
  LossBatch,
  Policy,
  Sample,
  SampleRequest,
  SoftTargets,
  TokenIds,
  TopLogprobs,
} from '../../policy/policy.ts';
import type { DecodeBits } from './model/decode-graph.ts';
import type { DeviceDecodeBits } from './model/device-decode-graphs.ts';
import type { ModelConfig } from './model/parameters.ts';
import type { Shard } from './training/adamw.ts';
import type { Task } from './training/model-runner.ts';
import type { Done } from './training/ordered-reduction.ts';

/** Running totals of sampling since the engine was opened. */
export interface SamplingTotals {
  readonly sampledTokens: number;
  /** Prompt tokens that were computed; prefixes that the cache held do not count. */
  readonly prefilledTokens: number;
  /** Spent on sampling, `loadSeconds` included; of several sampling threads, that of the busiest. */
  readonly sampleSeconds: number;
  /** Spent on bringing changed weights into the sampler. */
  readonly loadSeconds: number;
}

/** Running totals since the engine was opened. */
export interface EngineStatistics extends SamplingTotals {
  /** Tokens of the sequences given to `train` (of a pair: those of both sides), and the time spent on it. */
  readonly trainedTokens: number;
  readonly trainSeconds: number;
  /** Tokens of the sequences given to `logprobs` and `topLogprobs`, and the time spent on them. */
  readonly scoredTokens: number;
  readonly scoreSeconds: number;
}

/** What the worker does, by name. */
export interface Verbs extends Pick<Policy, 'freeze' | 'attachAdapter' | 'mergeAdapter' | 'save' | 'restore'> {
  /** @param along tells all new tokens so far, as they come */
  sample(request: SampleRequest, along: boolean): Promise<Sample>;
  logprobs(sequences: readonly TokenIds[], weights: 'present' | 'frozen'): Promise<Float32Array[]>;
  topLogprobs(
    sequences: readonly Pick<SoftTargets, 'ids' | 'start'>[],
    k: number,
    weights: 'present' | 'frozen',
  ): Promise<TopLogprobs[]>;
  train(batches: readonly LossBatch[], step: AdamWStep): ReturnType<Policy['train']>;
  statistics(): Promise<EngineStatistics>;
}

/** What computes, and in how many bits it samples. */
export type Computing =
  | { readonly device: 'cpu'; readonly decodeBits: DecodeBits }
  | { readonly device: 'webgpu'; readonly decodeBits: DeviceDecodeBits };

export interface WorkerSetup {
  readonly config: ModelConfig;
  /** Flat, as `layoutOf` says. */
  readonly weights: SharedFloats;
  readonly pieces: readonly string[];
  readonly threads: number;
  readonly maxActive: number;
  readonly computing: Computing;
}

/** What a further thread does. */
export interface WorkerThreadVerbs extends Shard {
  /** The effective weights, flat, for the samples that follow. They do not change while samples are under way. */
  take(version: number, weights: SharedFloats): Promise<void>;
  sample(request: SampleRequest): Promise<Sample>;
  totals(): Promise<SamplingTotals>;
  /** A share of a task; `reduction` is the memory of its `OrderedReduction`. */
  compute(task: Task, reduction: Int32Array<SharedArrayBuffer>): Promise<Done[]>;
}

/** A further thread's `workerData`. */
export interface WorkerThreadInput extends Pick<WorkerSetup, 'config' | 'pieces' | 'maxActive'> {
  readonly decodeBits: DecodeBits;
  readonly guard: Int32Array;
}

/** The worker's `workerData`. */
export interface WorkerInput extends WorkerSetup {
  readonly guard: Int32Array;
}
