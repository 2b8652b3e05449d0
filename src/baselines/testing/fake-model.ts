/** A text model for tests that says what a script says. */
import type { TextModel, TextRequest } from '../../policy/text-model.ts';

export interface FakeModel extends TextModel {
  /** Every request, in order. */
  readonly requests: readonly TextRequest[];
}

/**
 * @param says the reply to a prompt (message contents joined by newlines); up to the first stop string, which is kept
 */
export function fakeModel(says: (prompt: string, request: TextRequest) => string | Promise<string>): FakeModel {
  const requests: TextRequest[] = [];
  return {
    info: { engine: 'fake', name: 'fake', weights: null, deterministic: true },
    requests,
    async complete(request, signal) {
      requests.push(request);
      signal?.throwIfAborted();
      const { prompt, stop } = request;
      const shown = typeof prompt === 'string' ? prompt : prompt.map(({ content }) => content).join('\n');
      const whole = await says(shown, request);
      const ends = stop.flatMap((one) => (whole.includes(one) ? [whole.indexOf(one) + one.length] : []));
      const text = whole.slice(0, Math.min(whole.length, ...ends));
      const count = (words: string) => words.split(/\s+/).filter((word) => word !== '').length;
      return { text, finish: 'stop', promptTokens: count(shown), newTokens: count(text) };
    },
    close: async () => {},
  };
}
