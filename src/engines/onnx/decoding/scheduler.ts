/**
 * Continuous batching: requests join the running batch as they arrive and leave it as they end.
 *
 * Every tick reads, of each active sequence, what the model has not seen yet (a prompt, an observation, the token that was
 * drawn last), all in one run, and draws the next token of those that are read to their end. What a sequence leaves in
 * the cache is kept for whatever begins alike. All of this changes no bit of any result (see decoder.ts).
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { uniformAt } from '../../../base/random.ts';
import type { Sample, SampleRequest } from '../../../policy/policy.ts';
import { commonLength } from '../model/common-prefix.ts';
import type { ModelConfig } from '../model/parameters.ts';
import { type Reading, RUN_TOKENS, type TokenReader } from './decoder.ts';
import type { CachedRow } from './pages.ts';
import { PrefixStore } from './prefix-store.ts';
import type { Draw, DrawRule } from './sampling.ts';
import { checkRequest, Sequence } from './sequence.ts';

/** Where the weights come from. */
export interface WeightSource<Weights> {
  /** Raised with every change of the effective weights. */
  readonly version: number;
  /** The adapter added when one is attached. */
  effectiveWeights(): Weights;
}

export interface SchedulerOptions {
  readonly config: ModelConfig;
  /** The text of each token, see `Tokenizer.pieces`. */
  readonly pieces: readonly string[];
  /** Most sequences that are sampled at a time; the others wait in order of arrival. */
  readonly maxActive: number;
}

/** Fewest tokens that a sequence waits for when another one is about to read them. */
const WORTH_WAITING = 8;

/** A request on its way. */
interface Job {
  readonly sequence: Sequence;
  /** What the model has read of it. */
  row: CachedRow;
  /** Undefined once released. */
  session: string | undefined;
  readonly signal: AbortSignal | undefined;
  resolve(sample: Sample): void;
  reject(error: unknown): void;
}

export class Scheduler<Weights = Float32Array> {
  /** Running totals. */
  readonly totals = { sampledTokens: 0, prefilledTokens: 0, sampleSeconds: 0, loadSeconds: 0 };
  readonly #decoder: TokenReader<Weights>;
  readonly #weights: WeightSource<Weights>;
  readonly #options: SchedulerOptions;
  readonly #waiting: Job[] = [];
  readonly #active: Job[] = [];
  readonly #store: PrefixStore;
  #loadedVersion: number | undefined;
  #running = false;

  constructor(decoder: TokenReader<Weights>, weights: WeightSource<Weights>, options: SchedulerOptions) {
    this.#decoder = decoder;
    this.#weights = weights;
    this.#options = options;
    this.#store = new PrefixStore(decoder.cache);
  }

  /** One continuation. Rejects with the signal's reason when aborted. */
  sample(request: SampleRequest, signal?: AbortSignal): Promise<Sample> {
    const { config, pieces } = this.#options;
    return new Promise((resolve, reject) => {
      checkRequest(request, config.vocabulary);
      const sequence = new Sequence(request, pieces, config.contextLength);
      const row = { pages: [], length: 0 };
      this.#enqueue({ sequence, row, session: request.session, signal, resolve, reject });
    });
  }

  /** A session will not go on. */
  release(session: string): void {
    this.#store.release(session);
    for (const job of [...this.#waiting, ...this.#active]) if (job.session === session) job.session = undefined;
  }

  #enqueue(job: Job): void {
    this.#waiting.push(job);
    if (this.#running) return;
    this.#running = true;
    void this.#loop();
  }

  async #loop(): Promise<void> {
    // Requests that arrive together shall start together.
    await nextTurn();
    while (this.#waiting.length + this.#active.length > 0) {
      try {
        await this.#tick();
      } catch (error) {
        this.#fail(error);
      }
    }
    this.#running = false;
  }

  async #tick(): Promise<void> {
    this.#dropAborted();
    const started = performance.now();
    await this.#admit();
    if (this.#active.length > 0) await this.#read();
    this.totals.sampleSeconds += (performance.now() - started) / 1000;
  }

  /** A run that failed leaves nothing to go on with: every sample rejects. */
  #fail(error: unknown): void {
    this.#store.clear();
    for (const { row } of this.#active) this.#decoder.cache.release(row);
    for (const job of [...this.#active.splice(0), ...this.#waiting.splice(0)]) job.reject(error);
  }

  #dropAborted(): void {
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const job = this.#waiting[i]!;
      if (!job.signal?.aborted) continue;
      this.#waiting.splice(i, 1);
      job.reject(job.signal.reason);
    }
    for (const job of this.#active.filter(({ signal }) => signal?.aborted)) {
      this.#leave(job);
      job.reject(job.signal!.reason);
    }
  }

  /** Takes waiting jobs into the batch, with what the cache holds of their prompts. */
  async #admit(): Promise<void> {
    if (this.#waiting.length === 0 || this.#active.length >= this.#options.maxActive) return;
    await this.#loadWeights();
    // Every job stays in one of the two lists while `#begin` may throw: `#fail` rejects those that it finds there.
    for (const job of [...this.#waiting]) {
      const { sequence } = job;
      if (sequence.full) job.resolve(sequence.sample('context'));
      else if (this.#active.length < this.#options.maxActive && this.#begin(job)) this.#active.push(job);
      else continue;
      this.#waiting.splice(this.#waiting.indexOf(job), 1);
    }
  }

  /** Finds what can be shared of a prompt. False when it pays to wait, since another sequence is about to read more of it. */
  #begin(job: Job): boolean {
    const { ids } = job.sequence;
    let source = this.#store.longest(ids);
    let underWay = 0;
    for (const { sequence, row } of this.#active) {
      const length = commonLength(ids, sequence.ids, Math.min(ids.length - 1, sequence.ids.length));
      underWay = Math.max(underWay, length);
      if (Math.min(length, row.length) > (source?.length ?? 0)) source = { row, length: Math.min(length, row.length) };
    }
    if (underWay >= (source?.length ?? 0) + WORTH_WAITING) return false;
    if (source) job.row = this.#decoder.cache.fork(source.row, source.length);
    return true;
  }

  /** Reads what active sequences have not read yet, as much as a run takes, and draws for those that are read to their end. */
  async #read(): Promise<void> {
    const reading: Job[] = [];
    const readings: Reading[] = [];
    let room = RUN_TOKENS;
    for (const job of this.#active) {
      if (room === 0) break;
      const { sequence, row } = job;
      const unread = sequence.ids.length - row.length;
      const ids = sequence.ids.slice(row.length, row.length + room);
      room -= ids.length;
      reading.push(job);
      readings.push({ row, ids, rule: ids.length === unread ? ruleOf(sequence) : undefined });
      this.totals.prefilledTokens += ids.length;
    }
    const draws = await this.#decoder.read(readings);
    for (const [i, draw] of draws.entries()) {
      if (draw === undefined) continue;
      // The last token is read to draw from it: it does not count as prefilled.
      this.totals.prefilledTokens -= 1;
      this.totals.sampledTokens += 1;
      this.#accept(reading[i]!, draw);
    }
  }

  #accept(job: Job, { id, logprob }: Draw): void {
    if (Number.isNaN(logprob)) {
      this.#leave(job);
      job.reject(new Error('sample: the probabilities are not numbers; the weights hold NaN or have overflowed'));
      return;
    }
    const stop = job.sequence.accept(id, logprob);
    if (stop === undefined) return;
    this.#leave(job);
    job.resolve(job.sequence.sample(stop));
  }

  /** Takes a job out of the batch; what it read is kept. */
  #leave(job: Job): void {
    this.#active.splice(this.#active.indexOf(job), 1);
    this.#store.keep(job.session, job.sequence.ids.slice(0, job.row.length), job.row);
  }

  /** New weights make everything worthless that was computed from the old ones. */
  async #loadWeights(): Promise<void> {
    const { version } = this.#weights;
    if (version === this.#loadedVersion) return;
    const started = performance.now();
    this.#store.clear();
    this.#loadedVersion = undefined;
    await this.#decoder.load(this.#weights.effectiveWeights());
    this.#loadedVersion = version;
    this.totals.loadSeconds += (performance.now() - started) / 1000;
  }
}

function ruleOf({ request, newTokens }: Sequence): DrawRule {
  const { temperature, topK, topP, key, offset = 0 } = request;
  return { temperature, topK, topP, uniform: uniformAt(key, offset + newTokens) };
}
