/**
 * What to ask instead of a request that a server refuses.
 *
 * Servers refuse in as many words as there are servers. Two refusals can be met without changing what is measured: a field
 * that is optional here is left out, and a limit on new tokens that does not fit behind the prompt is lowered to what is left.
 * Every other refusal is a failure, with the server's words.
 */
import { APIError } from 'openai';
import type { TextRequest } from '../../policy/text-model.ts';

/** Fields without which the reply means the same: what they ask for is done here too, or is the default, or only counts. */
export type OptionalField = 'seed' | 'stream_options' | 'stop' | 'top_p' | 'temperature' | 'max_tokens';

/** A refusal of this very request, as against a failure of the server. */
export function isRefusal(error: unknown): error is APIError {
  return error instanceof APIError && (error.status === 400 || error.status === 413 || error.status === 422);
}

/**
 * The optional field that a refusal names, of those that were sent.
 *
 * seed: replies are not assumed to repeat. stream_options: tokens are then not counted. stop: the text is cut here as well.
 * top_p and temperature: only where they are 1, which is what a server takes without them. max_tokens: newer models want it
 * under the name max_completion_tokens; a message that speaks of its value is another matter.
 */
export function refusedField(
  refusal: APIError,
  { stop, temperature, topP = 1 }: Pick<TextRequest, 'stop' | 'temperature' | 'topP'>,
  leftOut: ReadonlySet<OptionalField>,
): OptionalField | undefined {
  const words = textOf(refusal);
  const sent: OptionalField[] = ['seed', 'stream_options'];
  if (stop.length > 0) sent.push('stop');
  if (topP === 1) sent.push('top_p');
  if (temperature === 1) sent.push('temperature');
  if (/unsupported|not support|unrecogni[sz]ed|unknown|unexpected|not (?:permitted|allowed)|forbidden/i.test(words))
    sent.push('max_tokens');
  return sent.find((field) => !leftOut.has(field) && (refusal.param === field || names(words, field)));
}

/** "stop" is a word as well as a field: it has to stand in quotation marks. */
function names(words: string, field: OptionalField): boolean {
  return field === 'stop'
    ? /(["'`])stop\1/.test(words.replaceAll('\\"', '"'))
    : new RegExp(`\\b${field}\\b`).test(words);
}

/** Below this a limit is small: what is refused with it is refused for another reason than the limit. */
const SMALL = 16;

/**
 * The next lower limit of new tokens to try; undefined when the prompt itself must be what is too long. What the refusal says
 * to be left is tried first, then halves, then a small one.
 */
export function fewerTokens(refusal: APIError, asked: number): number | undefined {
  const left = tokensLeft(textOf(refusal));
  if (left !== undefined && left >= 1 && left < asked) return left;
  return asked > SMALL ? Math.max(SMALL, Math.floor(asked / 2)) : undefined;
}

/** Where vLLM, SGLang, TGI and OpenAI say how long the context and the prompt are. */
const saidLengths = [
  /maximum context length is (\d+) tokens.*? has (\d+) input tokens/s,
  /maximum context length is (\d+) tokens.*?\((\d+) in (?:the|your) (?:prompt|messages)/s,
  /maximum context length of (\d+) tokens.*?: (\d+) tokens from the input/s,
  /must be <= (\d+)\. Given: (\d+) `inputs` tokens/s,
];

function tokensLeft(words: string): number | undefined {
  for (const pattern of saidLengths) {
    const [, context, prompt] = pattern.exec(words) ?? [];
    if (context !== undefined) return Number(context) - Number(prompt);
  }
  const [, most] = /at most (\d+) completion tokens/.exec(words) ?? [];
  return most === undefined ? undefined : Number(most);
}

/** Message and body: which field is meant may stand in either. */
function textOf(refusal: APIError): string {
  return `${refusal.message} ${JSON.stringify(refusal.error) ?? ''}`;
}
