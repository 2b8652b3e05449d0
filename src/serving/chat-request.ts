/**
 * A request of POST /v1/chat/completions: OpenAI's, as far as an agent that answers questions can mean it. What would change the
 * answer and cannot be done is refused by field; what only describes the request (user, metadata, …) is passed over.
 */
import { z } from 'zod';
import type { ChatMessage } from '../policy/text-model.ts';
import { ApiError } from './api-error.ts';

/** Messages of a conversation, and characters of all of them together. */
const MOST_MESSAGES = 256;
const MOST_CHARACTERS = 200_000;
const MOST_STOPS = 4;

export interface ChatRequest {
  readonly model: string;
  /** The last message. */
  readonly question: string;
  readonly earlier: readonly ChatMessage[];
  readonly stream: boolean;
  /** A last event of the stream that counts tokens. */
  readonly includeUsage: boolean;
  readonly temperature: number | undefined;
  readonly seed: number | undefined;
  /** Tokens that the policy may write in all, thoughts and searches included. */
  readonly maxTokens: number | undefined;
  /** The answer ends before the first of these. */
  readonly stop: readonly string[];
  /** Citations hold the passages' texts. */
  readonly returnPassages: boolean;
}

const content = z.union([
  z.string(),
  z
    .array(z.looseObject({ type: z.literal('text', 'expected parts of text alone'), text: z.string() }))
    .transform((parts) => parts.map(({ text }) => text).join('\n')),
]);
const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant'], 'expected system, developer, user or assistant'),
  content,
});
const tokens = z.int().min(1).nullish();
/** Accepted where it says what is so anyway. */
const only = <T extends string | number | boolean>(value: T, what = JSON.stringify(value)) =>
  z.literal(value, `expected ${what}`).nullish();
const none = z
  .union(
    [z.array(z.unknown()).max(0), z.record(z.string(), z.unknown()).refine((all) => Object.keys(all).length === 0)],
    'is not supported',
  )
  .nullish();

const schema = z.looseObject({
  model: z.string(),
  messages: z.array(message).min(1).max(MOST_MESSAGES, `expected at most ${MOST_MESSAGES} messages`),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  seed: z.int().min(0).nullish(),
  max_tokens: tokens,
  max_completion_tokens: tokens,
  stop: z
    .union([
      z
        .string()
        .min(1)
        .transform((one) => [one]),
      z.array(z.string().min(1)).max(MOST_STOPS),
    ])
    .nullish(),
  return_passages: z.boolean().nullish(),
  n: only(1),
  top_p: only(1),
  frequency_penalty: only(0),
  presence_penalty: only(0),
  logprobs: only(false),
  logit_bias: none,
  tools: none,
  functions: none,
  response_format: z.looseObject({ type: z.literal('text', 'expected text') }).nullish(),
});

/** @throws ApiError 400 naming the field */
export function parseChatRequest(body: unknown): ChatRequest {
  const parsed = schema.safeParse(body);
  if (!parsed.success) {
    const { path, message: what } = deepest(parsed.error.issues[0]!);
    const param = path.length === 0 ? null : path.join('.');
    throw new ApiError(400, `${param ?? 'body'}: ${what}`, { param });
  }
  const { model, messages, stream, stream_options, temperature, seed, max_tokens, max_completion_tokens, stop } =
    parsed.data;
  const characters = messages.reduce((sum, each) => sum + each.content.length, 0);
  const wrong = (reason: string) => new ApiError(400, `messages: ${reason}`, { param: 'messages' });
  if (characters > MOST_CHARACTERS) throw wrong(`expected at most ${MOST_CHARACTERS} characters in all`);
  const last = messages.at(-1)!;
  if (last.role !== 'user') throw wrong('expected the last one to be the user’s');
  const question = last.content.trim();
  if (question === '') throw wrong('the question is empty');
  return {
    model,
    question,
    earlier: messages
      .slice(0, -1)
      .map(({ role, content: text }) => ({ role: role === 'developer' ? 'system' : role, content: text })),
    stream: stream ?? false,
    includeUsage: stream_options?.include_usage ?? false,
    temperature: temperature ?? undefined,
    seed: seed ?? undefined,
    maxTokens: max_completion_tokens ?? max_tokens ?? undefined,
    stop: stop ?? [],
    returnPassages: parsed.data.return_passages ?? false,
  };
}

/** Of a choice of forms, the fault in the form that came closest: the one whose path is longest. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue;
  const inner = issue.errors.flat().map((each) => deepest({ ...each, path: [...issue.path, ...each.path] }));
  const farthest = inner.reduce((most, each) => (each.path.length > most.path.length ? each : most), issue);
  return farthest.path.length > issue.path.length ? farthest : issue;
}
