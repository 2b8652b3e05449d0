/**
 * Equal prompts of one moment as one request of several samples: the rollouts of a group begin with the same prompt, and some
 * servers draw the samples of a request together, but one request after the other.
 *
 * A moment is a turn of the event loop. Which samples come together, and with that their tokens, depends on it: where requests
 * are joined, equal keys do not mean equal samples.
 */
import type { TokenIds } from '../../policy/policy.ts';

/** hatchery takes no more. */
const MOST_SAMPLES = 64;

export interface SampleAsked<Sampling> {
  readonly prompt: TokenIds;
  readonly sampling: Sampling;
  /** In [0, 1); of several that are joined the first one's counts. */
  readonly chance: number;
  readonly signal: AbortSignal | undefined;
}

/** Asks for `count` samples. Sample i of a request is drawn with seed + i. */
export type Draw<Sampling, Drawn> = (
  request: { readonly prompt: TokenIds; readonly sampling: Sampling; readonly count: number; readonly seed: number },
  signal: AbortSignal | undefined,
) => Promise<readonly Drawn[]>;

interface Waiting<Sampling, Drawn> extends SampleAsked<Sampling> {
  readonly resolve: (drawn: Drawn) => void;
  readonly reject: (reason: unknown) => void;
}

export class JoinedSamples<Sampling, Drawn> {
  readonly #draw: Draw<Sampling, Drawn>;
  /** By prompt and sampling. */
  readonly #waiting = new Map<string, Waiting<Sampling, Drawn>[]>();

  constructor(draw: Draw<Sampling, Drawn>) {
    this.#draw = draw;
  }

  ask(asked: SampleAsked<Sampling>): Promise<Drawn> {
    if (this.#waiting.size === 0) setImmediate(() => this.#sendAll());
    const key = JSON.stringify([asked.prompt, asked.sampling]);
    const { promise, resolve, reject } = Promise.withResolvers<Drawn>();
    const equal = this.#waiting.get(key) ?? [];
    equal.push({ ...asked, resolve, reject });
    this.#waiting.set(key, equal);
    return promise;
  }

  #sendAll(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const equal of waiting)
      for (let from = 0; from < equal.length; from += MOST_SAMPLES)
        void this.#send(equal.slice(from, from + MOST_SAMPLES));
  }

  /** The request is given up when nobody waits for it any more; never rejects. */
  async #send(equal: readonly Waiting<Sampling, Drawn>[]): Promise<void> {
    const { prompt, sampling, chance } = equal[0]!;
    const given = new AbortController();
    let left = equal.length;
    const leave = ({ signal, reject }: Waiting<Sampling, Drawn>) => {
      reject(signal!.reason);
      left -= 1;
      if (left === 0) given.abort(signal!.reason);
    };
    const listeners = equal.map((each) => [each.signal, () => leave(each)] as const);
    for (const [signal, listener] of listeners) {
      if (signal?.aborted) listener();
      signal?.addEventListener('abort', listener, { once: true });
    }
    const count = equal.length;
    try {
      const drawn = await this.#draw({ prompt, sampling, count, seed: spacedSeed(chance, count) }, given.signal);
      for (const [i, { resolve }] of equal.entries()) resolve(drawn[i]!);
    } catch (error) {
      for (const { reject } of equal) reject(error);
    } finally {
      for (const [signal, listener] of listeners) signal?.removeEventListener('abort', listener);
    }
  }
}

/** n·⌊u ⌊2³¹/n⌋⌋: 31 bits, and the n seeds from it on are nobody else's of n. */
export function spacedSeed(chance: number, count: number): number {
  return count * Math.floor(chance * Math.floor(2 ** 31 / count));
}
