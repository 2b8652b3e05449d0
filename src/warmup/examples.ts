/** What the warm-up trains on: token ids with a weight for each, from any source. */

import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { TokenizerFiles } from '../checkpoint/tokenizer-files.ts';
import type { Policy, TokenIds } from '../policy/policy.ts';
import type { Phase } from './recipe.ts';

export interface Example {
  readonly ids: TokenIds;
  /** Over ids: the weight of each token's −log p. 0 = only read. */
  readonly weights: Float32Array;
}

/**
 * Where examples come from. They are made chunk by chunk, each a pure function of its numbers, so that nothing has to be
 * kept and a warm-up can continue anywhere.
 */
export interface ExampleSource {
  readonly tokenizer: Tokenizer;
  /** They become part of the model directory. */
  readonly tokenizerFiles: TokenizerFiles;
  /** What the examples are made of, for the record (world seeds, files and their hashes). */
  readonly description: Readonly<Record<string, string | number>>;
  /** The examples of one chunk; `phaseIndex` is a part of its identity, so that phases share no example. */
  chunk(phase: Phase, phaseIndex: number, chunk: number): Promise<Example[]>;
  /** Examples of a phase over questions that are kept from training, always the same: for choosing the best weights. */
  heldOut?(phase: Phase): Example[];
  /** What the finished policy can do, for the manifest. */
  measure?(policy: Policy, options?: MeasuringOptions): Promise<Readonly<Record<string, unknown>>>;
}

export interface MeasuringOptions {
  readonly signal?: AbortSignal | undefined;
  /** By so many of the questions alone. */
  readonly questions?: number;
  /** Told after each rollout. */
  readonly onProgress?: (done: number, total: number) => void;
}
