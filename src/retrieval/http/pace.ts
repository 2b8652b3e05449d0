/**
 * Keeps the memory of answers bounded, whatever is asked for at once and however slowly it is taken: parts of few
 * bytes together are made at a time, and none while too many bytes wait to be sent. Who waits is served in order, part by part, so that a
 * large answer does not keep small ones waiting for longer than a part each.
 */
import type { ServerResponse } from 'node:http';

export interface PaceLimits {
  /** Bytes of all parts that are made at a time, and begun in one turn of the event loop, by estimate; one part may have more. */
  readonly making: number;
  /** Bytes made and not yet taken over by the system, of all answers; one part each beyond that. */
  readonly unsent: number;
  /** The longest that a client may take for one part, in seconds. */
  readonly partSeconds: number;
}

export class Pace {
  readonly #limits: PaceLimits;
  readonly #waiting = new Map<() => void, number>();
  #making = 0;
  #unsent = 0;
  /** Bytes of the parts begun in this turn of the event loop. */
  #begun = 0;

  constructor(limits: PaceLimits) {
    this.#limits = limits;
  }

  /** Runs `make`, of about so many bytes, when it is this one's turn. Rejects as soon as the signal is aborted, whatever `make` does then. */
  async turn<T>(make: () => Promise<T>, bytes: number, signal: AbortSignal): Promise<T> {
    await this.#place(bytes, signal);
    try {
      return await unlessAborted(make, signal);
    } finally {
      this.#making -= bytes;
      this.#nextSoon();
    }
  }

  #place(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.delete(begin);
        reject(signal.reason);
      };
      const begin = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.set(begin, bytes);
      this.#next();
    });
  }

  /** When all that has been heard by now is dealt with: of those that wait, many may have left at once. */
  #nextSoon(): void {
    if (this.#waiting.size > 0) setImmediate(() => this.#next());
  }

  #next(): void {
    const { making: most, unsent } = this.#limits;
    for (const [begin, bytes] of this.#waiting) {
      const full = this.#making > 0 && this.#making + bytes > most;
      // Parts may be made so fast that many would follow one another before others are heard.
      const enough = this.#begun > 0 && this.#begun + bytes > most;
      if (full || enough || this.#unsent >= unsent) return;
      this.#waiting.delete(begin);
      this.#making += bytes;
      if (this.#begun === 0) setImmediate(() => this.#endTurn());
      this.#begun += bytes;
      begin();
    }
  }

  #endTurn(): void {
    this.#begun = 0;
    this.#next();
  }

  /**
   * Writes a part, the last one with `end`, and waits until the system has taken it over.
   * Rejects when the client leaves or is too slow; the connection is closed then.
   */
  async send(response: ServerResponse, part: Buffer, last: boolean): Promise<void> {
    this.#unsent += part.length;
    const sent = Promise.withResolvers<void>();
    const gone = () => sent.reject(new Error('the client left'));
    const stalled = setTimeout(() => response.destroy(), 1000 * this.#limits.partSeconds);
    response.once('close', gone);
    // After an error the response closes.
    const taken = (error?: Error | null) => {
      if (!error) sent.resolve();
    };
    try {
      if (response.destroyed) gone();
      if (last) response.end(part, taken);
      else response.write(part, taken);
      await sent.promise;
    } finally {
      clearTimeout(stalled);
      response.off('close', gone);
      this.#unsent -= part.length;
      this.#nextSoon();
    }
  }
}

function unlessAborted<T>(make: () => Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    make()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort));
  });
}
