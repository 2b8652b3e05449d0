/** One sample in the making: its tokens so far, and whether the newest ends it. */
import type { Sample, SampleRequest } from '../../../policy/policy.ts';

export class Sequence {
  readonly request: SampleRequest;
  /** Prompt and new tokens. */
  readonly ids: number[];
  readonly #pieces: readonly string[];
  readonly #contextLength: number;
  readonly #logprobs: number[] = [];
  /** The end of the new tokens' text: enough of it to find a stop string that the next token completes. */
  #text = '';

  /** @param pieces the text of each token, see `Tokenizer.pieces` */
  constructor(request: SampleRequest, pieces: readonly string[], contextLength: number) {
    this.request = request;
    this.ids = [...request.prompt];
    this.#pieces = pieces;
    this.#contextLength = contextLength;
  }

  get newTokens(): number {
    return this.#logprobs.length;
  }

  /** The reason to stop before any token is drawn: the prompt fills the context. */
  get full(): boolean {
    return this.ids.length >= this.#contextLength;
  }

  /** Adds a token; the reason to stop if it is the last. */
  accept(id: number, logprob: number): Sample['stop'] | undefined {
    const { stop, stopTokens, maxTokens } = this.request;
    this.ids.push(id);
    this.#logprobs.push(logprob);
    if (stopTokens.includes(id)) return 'stop-token';
    if (stop.length > 0) {
      const text = this.#text + (this.#pieces[id] ?? '');
      if (stop.some((string) => text.includes(string))) return 'stop';
      const kept = Math.max(...stop.map((string) => string.length)) - 1;
      this.#text = kept > 0 ? text.slice(-kept) : '';
    }
    if (this.newTokens >= maxTokens) return 'length';
    return this.full ? 'context' : undefined;
  }

  sample(stop: Sample['stop']): Sample {
    return { ids: this.ids.slice(this.request.prompt.length), logprobs: this.#logprobs, stop };
  }
}

/** @throws RangeError for a request that no engine could serve. */
export function checkRequest(request: SampleRequest, vocabulary: number): void {
  const { prompt, maxTokens, temperature, topK = 1, topP = 1, stop } = request;
  if (prompt.length === 0) throw new RangeError('sample: the prompt is empty');
  const bad = prompt.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabulary));
  if (bad !== undefined)
    throw new RangeError(`sample: prompt holds id ${bad}, the vocabulary has ${vocabulary} entries`);
  if (!(Number.isInteger(maxTokens) && maxTokens >= 1))
    throw new RangeError(`sample: maxTokens is ${maxTokens}, expected a whole number of at least 1`);
  if (!(Number.isFinite(temperature) && temperature >= 0))
    throw new RangeError(`sample: temperature is ${temperature}, expected a number of at least 0`);
  if (!(Number.isInteger(topK) && topK >= 1))
    throw new RangeError(`sample: topK is ${topK}, expected a whole number of at least 1`);
  if (!(topP > 0 && topP <= 1)) throw new RangeError(`sample: topP is ${topP}, expected a number in (0, 1]`);
  if (stop.includes('')) throw new RangeError('sample: a stop string is empty');
}
