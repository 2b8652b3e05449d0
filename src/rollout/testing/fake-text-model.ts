/** A scripted text model for tests: what it writes is a function of what it is asked. It keeps to the contract of text models. */
import { endOfStop } from '../../engines/stop-strings.ts';
import type { TextModel, TextReply, TextRequest } from '../../policy/text-model.ts';

export interface FakeTextModel extends TextModel {
  /** Every request so far, in order. */
  readonly requests: readonly TextRequest[];
}

/** Writes up to the first completed stop string, in pieces of three characters. */
export function fakeTextModel(
  script: (request: TextRequest, call: number) => string | Promise<string>,
  answer: Partial<TextReply> = {},
): FakeTextModel {
  const requests: TextRequest[] = [];
  return {
    info: { engine: 'fake', name: 'scripted', weights: null, deterministic: true },
    requests,
    async complete(request, signal) {
      requests.push(request);
      const written = await script(request, requests.length - 1);
      signal?.throwIfAborted();
      const text = written.slice(0, endOfStop(written, request.stop) ?? written.length);
      for (let at = 0; at < text.length; at += 3) request.onText?.(text.slice(at, at + 3));
      return { text, finish: 'stop', promptTokens: null, newTokens: null, ...answer };
    },
    close: async () => {},
  };
}
