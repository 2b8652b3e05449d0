/**
 * Where questions of many clients come in: so many are worked on at a time, so many may wait, and each has a deadline that
 * begins when it arrives. Whoever leaves gives up the place.
 */
import { UserError } from '../base/errors.ts';
import { Slots } from '../base/slots.ts';
import type { Agent, Asked, AskOptions } from '../evaluation/agent.ts';
import type { Hit } from '../retrieval/retriever.ts';

export interface DeskOptions {
  /** Questions worked on at a time, ≥ 1. */
  readonly concurrency: number;
  /** Questions that may wait for that, ≥ 0. */
  readonly waiting: number;
  /** From arrival to answer. */
  readonly seconds: number;
}

/** Enough of the words to be understood. */
function some(words: readonly string[]): string {
  return words.slice(0, 10).join(', ').slice(0, 300);
}

/** All places are taken. */
export class Busy extends Error {
  /** When asking again is worth while, in whole seconds. */
  readonly retryAfter: number;

  constructor(retryAfter: number) {
    super('too many questions are waiting; ask again later');
    this.retryAfter = retryAfter;
  }
}

/** There was no answer within the time for it. */
export class Late extends Error {}

/** Shortest and longest advice, in seconds. */
const [SOON, LATER] = [1, 60];
/** How much the last answer counts in the running mean of seconds. */
const WEIGHT = 0.1;

export class Desk {
  readonly agent: Agent;
  readonly options: DeskOptions;
  readonly #slots: Slots;
  #inside = 0;
  #underWay = 0;
  /** Running mean of the seconds that a question takes once it is worked on. */
  #usualSeconds = 1;

  constructor(agent: Agent, options: DeskOptions) {
    this.agent = agent;
    this.options = options;
    this.#slots = new Slots(options.concurrency);
  }

  /** Questions worked on, and questions that wait. */
  get load(): { readonly underWay: number; readonly waiting: number } {
    return { underWay: this.#underWay, waiting: this.#inside - this.#underWay };
  }

  /**
   * Asks the agent; failures are stop reasons.
   * @throws Busy, Late; UserError for earlier turns that cannot be given and words that the policy does not have; the signal's
   * reason when that is aborted
   */
  async ask(question: string, { signal, ...options }: AskOptions = {}): Promise<Asked> {
    const unknown = this.agent.unknownWords(question);
    if (unknown.length > 0)
      throw new UserError(`this policy knows a small world of its own and has no word for ${some(unknown)}`);
    return this.#within(signal, async (waiting) => {
      const asked = await this.agent.ask(question, { ...options, signal: waiting });
      waiting.throwIfAborted();
      return asked;
    });
  }

  /** Searches once, as the agent would. */
  search(query: string, k: number, signal?: AbortSignal): Promise<readonly Hit[]> {
    return this.#within(signal, async (waiting) => (await this.agent.retriever.search([query], k, waiting))[0] ?? []);
  }

  async #within<T>(parent: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    parent?.throwIfAborted();
    const { concurrency, waiting, seconds } = this.options;
    if (this.#inside >= concurrency + waiting) throw new Busy(this.#retryAfter());
    const over = new AbortController();
    const leave = () => over.abort(parent?.reason);
    parent?.addEventListener('abort', leave, { once: true });
    const timer = setTimeout(() => over.abort(new Late(`no answer within ${seconds} s`)), 1000 * seconds);
    this.#inside += 1;
    try {
      return await this.#slots.run(() => this.#timed(() => work(over.signal)), over.signal);
    } catch (error) {
      // What the work says of being broken off is not why it was.
      throw over.signal.aborted ? over.signal.reason : error;
    } finally {
      this.#inside -= 1;
      clearTimeout(timer);
      parent?.removeEventListener('abort', leave);
    }
  }

  async #timed<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay += 1;
    const began = performance.now();
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
      this.#usualSeconds += WEIGHT * ((performance.now() - began) / 1000 - this.#usualSeconds);
    }
  }

  /** Until half of those that are there will have been answered. */
  #retryAfter(): number {
    const seconds = (this.#usualSeconds * this.#inside) / (2 * this.options.concurrency);
    return Math.min(LATER, Math.max(SOON, Math.ceil(seconds)));
  }
}
