/** A policy that is sampled by ids behind the contract of text models, so that it can be asked whatever a served model is. */
import { randomUUID } from 'node:crypto';
import { streamKey } from '../base/random.ts';
import { encodeFromStart, encodeMarked, foreign } from '../checkpoint/foreign.ts';
import { readTokens, textTeller } from '../checkpoint/text-teller.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { SampleRequest, Sampler } from '../policy/policy.ts';
import { PromptTooLong, type TextModel, type TextReply, type TextRequest } from '../policy/text-model.ts';
import { asOneText } from './by-completions.ts';
import { endOfStop } from './stop-strings.ts';

/**
 * Messages are put into the model's chat template, if it has one.
 * `close` leaves the policy open: it belongs to whoever opened it.
 * @param about for the record: the directory's name and the hash of its weights
 */
export function textPolicy(
  policy: Sampler,
  tokenizer: Tokenizer,
  about: { readonly name: string; readonly weights: string | null },
): TextModel {
  return {
    info: { engine: policy.info.engine, ...about, deterministic: policy.capabilities.deterministic },
    knowsControlTokens: true,
    complete: (request, signal) => complete(policy, tokenizer, request, signal),
    close: async () => {},
  };
}

async function complete(
  policy: Sampler,
  tokenizer: Tokenizer,
  { prompt, maxTokens, temperature, topP = 1, stop, seed, onText }: TextRequest,
  signal: AbortSignal | undefined,
): Promise<TextReply> {
  const session = randomUUID();
  const request: SampleRequest = {
    prompt: promptIds(tokenizer, prompt),
    maxTokens,
    temperature,
    topP,
    stop,
    stopTokens: tokenizer.endTokens,
    key: streamKey('text', seed),
    session,
  };
  // The last token may carry characters behind the stop string.
  const decode = (ids: readonly number[]) => {
    const text = tokenizer.decode(ids);
    return text.slice(0, endOfStop(text, stop) ?? text.length);
  };
  try {
    const tell = onText && textTeller({ decode }, onText);
    const sample = await policy.sample(request, {
      ...(signal && { signal }),
      ...(tell && { onTokens: (ids) => tell(ids, false) }),
    });
    if (sample.stop === 'context' && sample.ids.length === 0)
      throw new PromptTooLong(
        `the prompt of ${request.prompt.length} tokens leaves no room in a context of ${policy.info.contextLength}`,
      );
    const read = readTokens(sample);
    tell?.(read, true);
    return {
      text: decode(read),
      finish: sample.stop === 'stop' || sample.stop === 'stop-token' ? 'stop' : 'length',
      promptTokens: request.prompt.length,
      newTokens: sample.ids.length,
    };
  } finally {
    policy.release(session);
  }
}

/** Messages to the model hold questions and passages; what it said itself goes back as it was. */
function promptIds(tokenizer: Tokenizer, prompt: TextRequest['prompt']): number[] {
  if (typeof prompt === 'string') return encodeFromStart(tokenizer, prompt);
  const marked = prompt.map((message) =>
    message.role === 'assistant' ? message : { ...message, content: foreign(message.content) },
  );
  const chat = tokenizer.chat(marked);
  return chat === undefined ? encodeFromStart(tokenizer, asOneText(marked, undefined)) : encodeMarked(tokenizer, chat);
}
