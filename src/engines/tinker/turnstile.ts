/**
 * Calls keep their order without waiting for one another where they need not: those that only read the weights run together,
 * one that changes them waits for all before it, and all behind it wait for its end.
 */
export class Turnstile {
  /** Settles when the last change has ended. */
  #changed: Promise<unknown> = Promise.resolve();
  readonly #reading = new Set<Promise<unknown>>();

  read<T>(work: () => Promise<T>): Promise<T> {
    const running = this.#changed.then(work);
    const settled = running.then(
      () => {},
      () => {},
    );
    this.#reading.add(settled);
    void settled.then(() => this.#reading.delete(settled));
    return running;
  }

  change<T>(work: () => Promise<T>): Promise<T> {
    const before = [this.#changed, ...this.#reading];
    const running = Promise.all(before).then(work);
    this.#changed = running.catch(() => {});
    return running;
  }
}
