/**
 * Continuous batching: requests join the running batch as they arrive and leave it as they end.
 *
 * Every tick first puts the prompts of waiting requests into the cache, then draws one token for each active
 * sequence. What a sequence left in the cache is kept under its session; a later request that extends it
 * computes only the rest. All of this changes no bit of any result (see decoder.ts).
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { uniformAt } from '../../base/random.ts';
import type { Sample, SampleRequest } from '../../policy/policy.ts';
import type { Decoder } from './decoder.ts';
import type { ModelConfig } from './parameters.ts';
import { checkRequest, Sequence } from './sequence.ts';
import { SessionStore } from './session-store.ts';

/** Where the weights come from. */
export interface WeightSource {
  /** Raised with every change of the effective weights. */
  readonly version: number;
  /** Flat, as `layoutOf` says; the adapter added when one is attached. */
  effectiveWeights(): Float32Array;
}

export interface SchedulerOptions {
  readonly config: ModelConfig;
  /** The text of each token, see `Tokenizer.pieces`. */
  readonly pieces: readonly string[];
  /** Most sequences that are sampled at a time; the others wait in order of arrival. */
  readonly maxActive: number;
}

/** Fewest tokens for which it pays to copy a row. */
const SHARED_AT_LEAST = 16;

/** A request on its way. */
interface Job {
  readonly sequence: Sequence;
  /** Undefined once released. */
  session: string | undefined;
  readonly signal: AbortSignal | undefined;
  resolve(sample: Sample): void;
  reject(error: unknown): void;
}

export class Scheduler {
  /** Running totals. */
  readonly totals = { sampledTokens: 0, prefilledTokens: 0, sampleSeconds: 0, loadSeconds: 0 };
  readonly #decoder: Decoder;
  readonly #weights: WeightSource;
  readonly #options: SchedulerOptions;
  readonly #waiting: Job[] = [];
  /** The job at index i owns row i of the decoder. */
  readonly #active: Job[] = [];
  readonly #sessions = new SessionStore();
  #loadedVersion: number | undefined;
  #running = false;

  constructor(decoder: Decoder, weights: WeightSource, options: SchedulerOptions) {
    this.#decoder = decoder;
    this.#weights = weights;
    this.#options = options;
  }

  /** One continuation. Rejects with the signal's reason when aborted. */
  sample(request: SampleRequest, signal?: AbortSignal): Promise<Sample> {
    const { config, pieces } = this.#options;
    return new Promise((resolve, reject) => {
      checkRequest(request, config.vocabulary);
      const sequence = new Sequence(request, pieces, config.contextLength);
      this.#enqueue({ sequence, session: request.session, signal, resolve, reject });
    });
  }

  /** Forgets a session. */
  release(session: string): void {
    this.#sessions.delete(session);
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
    if (this.#active.length > 0) await this.#draw();
    this.totals.sampleSeconds += (performance.now() - started) / 1000;
  }

  /** A run that failed leaves nothing to go on with: every sample rejects. */
  #fail(error: unknown): void {
    this.#sessions.clear();
    for (const job of [...this.#active.splice(0), ...this.#waiting.splice(0)]) job.reject(error);
  }

  #dropAborted(): void {
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const job = this.#waiting[i]!;
      if (!job.signal?.aborted) continue;
      this.#waiting.splice(i, 1);
      job.reject(job.signal.reason);
    }
    for (let row = this.#active.length - 1; row >= 0; row--) {
      const job = this.#active[row]!;
      if (!job.signal?.aborted) continue;
      this.#leave(row);
      job.reject(job.signal.reason);
    }
  }

  /** Takes waiting jobs into the batch, their prompts but for the last token into the cache. */
  async #admit(): Promise<void> {
    const admitted: Job[] = [];
    while (this.#active.length + admitted.length < this.#options.maxActive) {
      const next = this.#waiting[0];
      if (!next) break;
      this.#waiting.shift();
      if (next.sequence.full) next.resolve(next.sequence.sample('context'));
      else admitted.push(next);
    }
    if (admitted.length === 0) return;
    this.#active.push(...admitted);
    await this.#loadWeights();

    // Equal prompts, such as those of a group's rollouts, are computed once and copied.
    const leaders = new Map<string, Job>();
    const [extending, copying]: [Job[], Job[]] = [[], []];
    for (const job of admitted) {
      const { sequence } = job;
      sequence.cached = this.#sessions.sharedLength(job.session, sequence.ids);
      const prompt = sequence.ids.join();
      if (sequence.cached > 0 || !leaders.has(prompt)) extending.push(job);
      else copying.push(job);
      if (sequence.cached === 0 && !leaders.has(prompt)) leaders.set(prompt, job);
    }
    // Similar lengths together: shorter rows of a run are padded.
    const missing = ({ sequence }: Job) => sequence.ids.length - 1 - sequence.cached;
    extending.sort((a, b) => missing(b) - missing(a));
    const first = this.#active.length - admitted.length;
    this.#active.splice(first, admitted.length, ...extending, ...copying);

    this.#reserve();
    for (const [i, { session, sequence }] of extending.entries())
      this.#decoder.take(first + i, this.#sessions.get(session), sequence.cached);
    await this.#shareBeginnings(first, extending);
    const extensions = extending.map(({ sequence: { ids, cached } }) => ({ from: cached, ids: ids.slice(cached, -1) }));
    await this.#decoder.extend(first, extensions);
    for (const { ids } of extensions) this.totals.prefilledTokens += ids.length;
    for (const [i, { sequence }] of copying.entries())
      this.#decoder.copy(this.#active.indexOf(leaders.get(sequence.ids.join())!), first + extending.length + i);
    for (const { sequence } of admitted) sequence.cached = sequence.ids.length - 1;
  }

  /**
   * Beginnings that prompts have in common, such as a template's instructions, are computed once: taken from an active
   * row where one has more of a prompt than its session, else computed for the first and copied. The jobs are those of
   * rows `first`, `first` + 1, ...; of those without anything in the cache, only what all have in common counts.
   */
  async #shareBeginnings(first: number, jobs: readonly Job[]): Promise<void> {
    for (const [i, { sequence }] of jobs.entries()) {
      const lengths = this.#active
        .slice(0, first)
        .map((other) =>
          commonLength(sequence.ids, other.sequence.ids, Math.min(sequence.ids.length - 1, other.sequence.cached)),
        );
      const longest = Math.max(0, ...lengths);
      if (longest < sequence.cached + SHARED_AT_LEAST) continue;
      // What the other row holds beyond the common part is masked until it is overwritten.
      this.#decoder.copy(lengths.indexOf(longest), first + i);
      sequence.cached = longest;
    }
    const bare = [...jobs.keys()].filter((i) => jobs[i]!.sequence.cached === 0);
    if (bare.length < 2) return;
    const [leader, ...others] = bare;
    const { ids } = jobs[leader!]!.sequence;
    const common = bare.reduce((length, i) => {
      const own = jobs[i]!.sequence.ids;
      return commonLength(ids, own, Math.min(length, own.length - 1));
    }, ids.length - 1);
    if (common < SHARED_AT_LEAST) return;
    await this.#decoder.extend(first + leader!, [{ from: 0, ids: ids.slice(0, common) }]);
    this.totals.prefilledTokens += common;
    for (const i of others) this.#decoder.copy(first + leader!, first + i);
    for (const i of bare) jobs[i]!.sequence.cached = common;
  }

  /** Draws the next token of every active sequence. */
  async #draw(): Promise<void> {
    this.#reserve();
    const requests = this.#active.map(({ sequence: { ids, cached, newTokens, request } }) => ({
      id: ids[cached]!,
      position: cached,
      temperature: request.temperature,
      topK: request.topK,
      topP: request.topP,
      uniform: uniformAt(request.key, (request.offset ?? 0) + newTokens),
    }));
    const draws = await this.#decoder.draw(requests);
    this.totals.sampledTokens += draws.length;
    // From the last row on: the row that moves into a gap has had its turn.
    for (let row = draws.length - 1; row >= 0; row--) {
      const job = this.#active[row]!;
      const { id, logprob } = draws[row]!;
      job.sequence.cached += 1;
      if (Number.isNaN(logprob)) {
        this.#leave(row);
        job.reject(new Error('sample: the probabilities are not numbers; the weights hold NaN or have overflowed'));
        continue;
      }
      const stop = job.sequence.accept(id, logprob);
      if (stop === undefined) continue;
      this.#leave(row);
      job.resolve(job.sequence.sample(stop));
    }
  }

  /** Takes a job out of the batch: its cache goes to its session, the last row into the gap. */
  #leave(row: number): void {
    const { session, sequence } = this.#active[row]!;
    if (session !== undefined && sequence.cached > 0)
      this.#sessions.set(session, sequence.ids.slice(0, sequence.cached), this.#decoder.save(row, sequence.cached));
    const last = this.#active.pop()!;
    if (row === this.#active.length) return;
    this.#active[row] = last;
    this.#decoder.copy(this.#active.length, row);
  }

  #reserve(): void {
    this.#decoder.reserve(this.#active.length, Math.max(...this.#active.map(({ sequence }) => sequence.ids.length)));
  }

  /** New weights make everything worthless that was computed from the old ones. */
  async #loadWeights(): Promise<void> {
    const { version } = this.#weights;
    if (version === this.#loadedVersion) return;
    const started = performance.now();
    this.#sessions.clear();
    this.#loadedVersion = undefined;
    await this.#decoder.load(this.#weights.effectiveWeights());
    this.#loadedVersion = version;
    this.totals.loadSeconds += (performance.now() - started) / 1000;
  }
}

/** How many of the first `most` ids are the same. */
function commonLength(a: readonly number[], b: readonly number[], most: number): number {
  for (let i = 0; i < most; i++) if (a[i] !== b[i]) return i;
  return most;
}
