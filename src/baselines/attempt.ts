/** The record of one attempt at a question, by any baseline. */
import type { Segment } from '../protocol/authors.ts';
import type { Hit } from '../retrieval/retriever.ts';
import type { StopReason } from '../rollout/trajectory.ts';

export interface Attempt {
  /** Null when none was given. */
  readonly answer: string | null;
  readonly stop: StopReason;
  /** What went wrong, where `isFailure(stop)`. */
  readonly failure?: string;
  /** Executed searches in order, with what was found, best first. */
  readonly searches: readonly { readonly query: string; readonly hits: readonly Hit[] }[];
  /** What the model was told and what it wrote, in order. */
  readonly transcript: readonly Segment[];
  /** Calls of the model. */
  readonly calls: number;
  /** Tokens over all calls, as counted by the model; null when it does not say. */
  readonly promptTokens: number | null;
  readonly newTokens: number | null;
  /** Calls of which the server gave the thinking alone; absent when there were none. */
  readonly reasoningOnly?: number;
  /** Fields of requests that the server refuses; see `TextReply`. */
  readonly leftOut?: readonly string[];
  /** Whether the response keeps to the form that its prompt asks for; null where none is asked for. */
  readonly wellFormed: boolean | null;
}
