/**
 * A language model that is asked for text: all that baselines, `ask` and `evaluate` need of a model that is not trained here.
 *
 * Served models speak text, not token ids, so here text is the truth. The trained policy goes through `Policy` (token ids)
 * wherever it is trained or measured as the trained agent; behind this interface it can take part in every baseline too.
 */
import { UserError } from '../base/errors.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface TextRequest {
  /** Messages for the model's own chat template, or a raw prompt that is continued as it stands. */
  readonly prompt: readonly ChatMessage[] | string;
  /** At most this many new tokens, at least 1. */
  readonly maxTokens: number;
  /** 0 = greedy. */
  readonly temperature: number;
  /** Share of probability mass to sample from, in (0, 1]; default 1. */
  readonly topP?: number;
  /** The text ends where one of these is complete; it is part of the reply. At most four, since some servers take no more. */
  readonly stop: readonly string[];
  /** Same seed, same reply, where the model can keep that promise. */
  readonly seed: number;
  /** Called with each piece of text as it arrives; the pieces joined are the reply's text. */
  readonly onText?: (piece: string) => void;
  /** The same for the reply's `reasoning`. */
  readonly onReasoning?: (piece: string) => void;
}

export interface TextReply {
  /** What was written, the stop string that ended it included. */
  readonly text: string;
  /** Thinking that the model's server keeps apart from the text; never a part of it, and not sent back in later turns. */
  readonly reasoning?: string;
  /** 'stop': a stop string or the model's own end; 'length': maxTokens or the context was reached. */
  readonly finish: 'stop' | 'length';
  /** As counted by the model; null when it does not say. */
  readonly promptTokens: number | null;
  readonly newTokens: number | null;
  /** Fields of the request that the server refuses and that it was asked without; absent when there are none. */
  readonly leftOut?: readonly string[];
}

/** The prompt leaves no room in the model's context for a single token: nothing was asked, so nothing was answered. */
export class PromptTooLong extends UserError {}

export interface TextModelInfo {
  /** E.g. "openai", "onnx". */
  readonly engine: string;
  /** The served model's name, or the directory's. */
  readonly name: string;
  /** SHA-256 of the weights where they are at hand, else null: a score without it rests on the name. */
  readonly weights: string | null;
  /** False when the same seed may bring another reply (most servers). */
  readonly deterministic: boolean;
}

export interface TextModel {
  readonly info: TextModelInfo;
  /** Words of others never become control tokens, since the model's tokenizer is at hand. Absent: they may, and are defused by shape. */
  readonly knowsControlTokens?: true;
  /**
   * Concurrent calls are allowed; the model bounds how many are under way. Rejects when it fails for good, when its server
   * refuses the request in whatever words (a refusal is never a reply), or when the signal is aborted.
   * @throws PromptTooLong where that is known from here
   */
  complete(request: TextRequest, signal?: AbortSignal): Promise<TextReply>;
  close(): Promise<void>;
}
