/** Work in the calling thread that others are not kept waiting by. */

/** The longest that a turn of the event loop is held, in milliseconds; one piece of work more at most. */
const TURN = 10;

/** Gives the event loop a turn whenever the present one has lasted long enough. */
export class Turns {
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** To be called between two pieces of work. @throws the signal's reason once it is aborted */
  async next(): Promise<void> {
    if (performance.now() - this.#since < TURN) return;
    await new Promise((resume) => setImmediate(resume));
    this.#signal?.throwIfAborted();
    this.#since = performance.now();
  }
}
