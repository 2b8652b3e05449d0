/** Errors that mean that memory has run out, told apart by their texts (nothing else distinguishes them), and said so. */
import { messageOf, UserError } from '../base/errors.ts';

const SIGNS = [
  // V8: a typed array; the heap of a thread (ERR_WORKER_OUT_OF_MEMORY).
  /Array buffer allocation failed/,
  /Worker terminated due to reaching memory limit/,
  // V8: the memory of the key-value cache.
  /WebAssembly\.Memory\.grow\(\): [\w ]+/,
  /Cannot allocate Wasm memory/,
  // ONNX Runtime: with an arena, and without.
  /Failed to allocate memory for requested buffer of size \d+/,
  /bad_alloc|bad allocation/,
];

/** An error for the user, when `error` says that memory has run out. */
export function outOfMemory(error: unknown, who: string): UserError | undefined {
  const text = messageOf(error);
  const sign = SIGNS.map((pattern) => pattern.exec(text)?.[0]).find((found) => found !== undefined);
  if (sign === undefined) return undefined;
  return new UserError(`the ${who} ran out of memory: ${sign}`, {
    hint: 'Use fewer rollouts at a time (rollout.concurrency), shorter contexts, an adapter, decodeBits 8 or 4, or a smaller model.',
    cause: error,
  });
}
