/**
 * Where tests find truth that is not ours: tests/reference holds small random models and a tokenizer with what transformers and tokenizers
 * make of them; the folder of shared data, which is not part of the repository, real checkpoints, tokenizers and texts.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = process.env.SEARCH_E1_SHARED ?? fileURLToPath(new URL('../../../shared', import.meta.url));

export function shared(...parts: string[]): string {
  return path.join(ROOT, ...parts);
}

/** For describe.skipIf: true, with a word on why, when a shared file is absent. */
export function lacks(...parts: string[]): boolean {
  if (existsSync(shared(...parts))) return false;
  console.warn(`skipped: ${shared(...parts)} is absent (SEARCH_E1_SHARED names the folder of shared data)`);
  return true;
}

/** A folder of tests/reference. */
export function reference(...parts: string[]): string {
  return fileURLToPath(new URL(`../../tests/reference/${parts.join('/')}`, import.meta.url));
}

/** Names and folders of models that come with what transformers and PyTorch compute of them: expected.json (tests/reference). */
export const referenceModels: readonly (readonly [name: string, folder: string])[] = [
  ...['qwen2', 'qwen3', 'llama'].map((name) => [name, reference(name)] as const),
  ...(existsSync(shared('checkpoints', 'tiny-qwen2-tied'))
    ? [['tiny-qwen2-tied', shared('checkpoints', 'tiny-qwen2-tied')] as const]
    : []),
];

/** expected.json of a reference model: two sequences, the second padded on the left, and what was computed of them. */
export interface ExpectedOfModel {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  readonly logits_row0_unpadded: number[][];
  readonly logits_row1_valid_positions: number[][];
  /** Entry t is of token t + 1. */
  readonly next_token_logprobs: number[][];
  readonly entropy_row0: number[];
  readonly loss: { token_mask: number[][]; advantage: number[][]; value: number; grad_global_norm: number };
  readonly adamw: { clip_grad_norm: number; lr: number; betas: [number, number]; eps: number; weight_decay: number };
  readonly greedy_from_first5: number[];
}
