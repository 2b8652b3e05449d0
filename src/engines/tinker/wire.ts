/**
 * Answers of a server, checked before they are used: schemas for what is small, loops for numbers in bulk. Fields that nobody
 * asked for are passed over, since servers add their own; what was asked for has to be there, and of the right length.
 */
import { z } from 'zod';
import { NonFiniteError, type TokenIds } from '../../policy/policy.ts';
import { inOneLine, TinkerFailure } from './failures.ts';

const words = z.string().nullish();
const list = z.custom<readonly unknown[]>((value) => Array.isArray(value), 'expected a list');
const tensor = z.object({ data: list });

export const answers = {
  health: z.object({ status: z.string() }),
  capabilities: z.object({
    supported_models: z
      .array(z.object({ model_name: words, model_id: words, max_context_length: z.number().nullish() }))
      .nullish(),
    supports_2d_target_tokens: z.boolean().nullish(),
    sdk_compat_version: words,
  }),
  session: z.object({ session_id: z.string(), info_message: words, warning_message: words, error_message: words }),
  model: z.object({ model_id: z.string() }),
  info: z.object({
    model_data: z.object({ model_name: words, tokenizer_id: words }),
    is_lora: z.boolean().nullish(),
    lora_rank: z.number().nullish(),
  }),
  samplingSession: z.object({ sampling_session_id: z.string() }),
  /** When the server will drop it: seconds since 1970, or a date. */
  saved: z.object({ path: z.string().min(1), expires_at: z.union([z.number(), z.string()]).nullish() }),
  forward: z.object({
    loss_fn_outputs: z.array(z.object({ logprobs: tensor })),
    metrics: z.record(z.string(), z.unknown()).nullish(),
  }),
  stepped: z.object({ metrics: z.record(z.string(), z.unknown()).nullish() }),
  sampled: z.object({
    sequences: z.array(z.object({ tokens: list, logprobs: list, stop_reason: z.enum(['stop', 'length']) })).min(1),
  }),
  scored: z.object({ prompt_logprobs: list.nullish(), topk_prompt_logprobs: list.nullish() }),
  anything: z.unknown(),
};

/** @throws TinkerFailure (mismatch) that names the call and the field */
export function answerOf<T>(schema: z.ZodType<T>, value: unknown, url: string, call: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw mismatch(url, call, `${path.join('.') || 'answer'}: ${inOneLine(message)}`);
}

export function mismatch(url: string, call: string, what: string): TinkerFailure {
  return new TinkerFailure('mismatch', `${url}: the answer to ${call} is not what was asked for: ${what}`, {
    hint: 'Is engine.profile the right one for this server? docs/distributed.md lists them.',
  });
}

/**
 * Numbers from `from` on, `length` of them.
 * @throws TinkerFailure (mismatch) for another length or type, NonFiniteError for null and NaN, which say "no finite number"
 */
export function floats(values: readonly unknown[], length: number, url: string, call: string, from = 0): Float32Array {
  if (values.length - from !== length)
    throw mismatch(url, call, `${values.length - from} numbers where ${length} were expected`);
  const out = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const value = values[from + i];
    if (value === null) throw new NonFiniteError(`${call}: entry ${i} is not finite`);
    if (typeof value !== 'number') throw mismatch(url, call, `entry ${i} is no number`);
    out[i] = value;
  }
  return out;
}

/** Ids within the vocabulary. */
export function tokenIds(values: readonly unknown[], vocabulary: number, url: string, call: string): TokenIds {
  for (const [i, value] of values.entries())
    if (!(Number.isInteger(value) && (value as number) >= 0 && (value as number) < vocabulary))
      throw mismatch(url, call, `token ${i} is ${inOneLine(String(value))}, the vocabulary has ${vocabulary} ids`);
  return values as TokenIds;
}

/** A metric, by its name up to the reduction's suffix; null where the server does not give it. */
export function metricOf(metrics: Readonly<Record<string, unknown>> | null | undefined, name: string): number | null {
  for (const [key, value] of Object.entries(metrics ?? {}))
    if ((key === name || key.startsWith(`${name}:`)) && typeof value === 'number' && Number.isFinite(value))
      return value;
  return null;
}
