/** A policy of the embedded engine behind the contract of text models, so that it can be asked whatever a served model is. */
import { randomUUID } from 'node:crypto';
import { streamKey } from '../base/random.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { Policy, SampleRequest } from '../policy/policy.ts';
import { PromptTooLong, type TextModel, type TextReply, type TextRequest } from '../policy/text-model.ts';
import { asOneText } from './by-completions.ts';
import { sampleInSlices, textTeller } from './slices.ts';
import { endOfStop } from './stop-strings.ts';

/**
 * Messages are put into the model's chat template, if it has one.
 * `close` leaves the policy open: it belongs to whoever opened it.
 * @param about for the record: the directory's name and the hash of its weights
 */
export function textPolicy(
  policy: Pick<Policy, 'info' | 'sample' | 'release'>,
  tokenizer: Tokenizer,
  about: { readonly name: string; readonly weights: string },
): TextModel {
  return {
    info: { engine: policy.info.engine, ...about, deterministic: true },
    complete: (request, signal) => complete(policy, tokenizer, request, signal),
    close: async () => {},
  };
}

async function complete(
  policy: Pick<Policy, 'info' | 'sample' | 'release'>,
  tokenizer: Tokenizer,
  { prompt, maxTokens, temperature, topP = 1, stop, seed, onText }: TextRequest,
  signal: AbortSignal | undefined,
): Promise<TextReply> {
  const session = randomUUID();
  const request: SampleRequest = {
    prompt: tokenizer.encode(asOneText(prompt, tokenizer)),
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
    const sample =
      onText === undefined
        ? await policy.sample(request, signal)
        : await sampleInSlices(policy, request, tokenizer, textTeller({ decode }, onText), signal);
    if (sample.stop === 'context' && sample.ids.length === 0)
      throw new PromptTooLong(
        `the prompt of ${request.prompt.length} tokens leaves no room in a context of ${policy.info.contextLength}`,
      );
    return {
      text: decode(sample.stop === 'stop-token' ? sample.ids.slice(0, -1) : sample.ids),
      finish: sample.stop === 'stop' || sample.stop === 'stop-token' ? 'stop' : 'length',
      promptTokens: request.prompt.length,
      newTokens: sample.ids.length,
    };
  } finally {
    policy.release(session);
  }
}
