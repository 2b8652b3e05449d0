/**
 * All that samples in an engine: the scheduler of the engine's own thread and, for small models, one more thread with a
 * scheduler of its own for every further core.
 *
 * A small model's products are too short to be shared by two threads: waking the second costs about what it saves. Two
 * schedulers with half of the sequences each lose nothing. A large model is bound by memory, its products are long, and
 * its weights should not be copied: there, one scheduler uses all threads. Since a sequence's bits do not depend on
 * its company, neither do they depend on which thread it is given to.
 */
import { randomUUID } from 'node:crypto';
import type { SharedFloats } from '../../../onnx/shared-floats.ts';
import type { WorkerClient } from '../../../onnx/worker-client.ts';
import type { Sample, SampleOptions, SampleRequest } from '../../../policy/policy.ts';
import type { SamplingTotals, WorkerThreadVerbs } from '../messages.ts';
import type { WorkerThreads } from '../worker-threads.ts';
import type { Scheduler } from './scheduler.ts';
import { sampleInSlices } from './slices.ts';

/** Largest model whose weights every sampling thread packs for itself, in parameters: 64 MiB of weights a thread. */
const COPIED_PARAMETERS = 2 ** 24;
/** How many sequences more than the least loaded one a sampler may have and still be given an equal prompt. */
const PROMPT_SLACK = 4;

/** How many samplers a model gets, and the threads of each one's products. */
export function samplerPlan(parameters: number, threads: number): { readonly samplers: number; readonly each: number } {
  return parameters <= COPIED_PARAMETERS ? { samplers: threads, each: 1 } : { samplers: 1, each: threads };
}

/** One sampler and what is under way in it. */
interface Place {
  /** The sampler's prompts, with multiplicity. */
  readonly prompts: string[];
  sample(request: SampleRequest, signal?: AbortSignal): Promise<Sample>;
  release(session: string): void;
  totals(): Promise<SamplingTotals>;
}

/** Where the weights of further threads come from: `effectiveWeights` do not change while samples are under way. */
interface SharedWeightSource {
  readonly version: number;
  effectiveWeights(): SharedFloats;
}

/** Threads that sample too. */
interface FurtherSamplers {
  /** So many of the `workerThreads`. */
  readonly others: number;
  readonly source: SharedWeightSource;
  readonly workerThreads: WorkerThreads;
}

export class Samplers {
  readonly #places: Place[];
  readonly #sessions = new Map<string, Place>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #pieces: readonly string[];
  /** Settles when samples may start. */
  #open: Promise<unknown> = Promise.resolve();

  /**
   * @param own the scheduler of this thread
   * @param pieces the text of each token
   */
  constructor(
    own: Pick<Scheduler, 'sample' | 'release' | 'totals'>,
    pieces: readonly string[],
    further?: FurtherSamplers,
  ) {
    this.#pieces = pieces;
    this.#places = [
      {
        prompts: [],
        sample: (request, signal) => own.sample(request, signal),
        release: (session) => own.release(session),
        totals: async () => own.totals,
      },
      ...Array.from({ length: further?.others ?? 0 }, (_, i) =>
        helperPlace(further!.source, () => further!.workerThreads.at(i)),
      ),
    ];
  }

  /** One continuation. Rejects with the signal's reason when aborted. */
  sample(request: SampleRequest, { signal, onTokens }: SampleOptions = {}): Promise<Sample> {
    const sample = this.#open.then(() => {
      signal?.throwIfAborted();
      return onTokens ? this.#sampleAlong(request, onTokens, signal) : this.#sample(request, signal);
    });
    const settled = sample.then(ignore, ignore);
    this.#underWay.add(settled);
    void settled.then(() => this.#underWay.delete(settled));
    return sample;
  }

  /** Runs `work` after the samples asked for before it have ended and before those asked for after it begin. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = Promise.all([this.#open, ...this.#underWay]).then(work);
    this.#open = result.then(ignore, ignore);
    return result;
  }

  /** Forgets a session. */
  release(session: string): void {
    this.#sessions.get(session)?.release(session);
    this.#sessions.delete(session);
  }

  /** Tokens of all samplers; seconds of the busiest, since they run side by side. */
  async totals(): Promise<SamplingTotals> {
    const all = await Promise.all(this.#places.map((place) => place.totals()));
    const sum = (of: (totals: SamplingTotals) => number) => all.reduce((total, one) => total + of(one), 0);
    return {
      sampledTokens: sum((one) => one.sampledTokens),
      prefilledTokens: sum((one) => one.prefilledTokens),
      sampleSeconds: Math.max(...all.map((one) => one.sampleSeconds)),
      loadSeconds: Math.max(...all.map((one) => one.loadSeconds)),
    };
  }

  async #sampleAlong(
    request: SampleRequest,
    onTokens: NonNullable<SampleOptions['onTokens']>,
    signal?: AbortSignal,
  ): Promise<Sample> {
    // Without a session every slice would compute the whole prompt again.
    const session = request.session ?? randomUUID();
    try {
      const sample = (slice: SampleRequest) => this.#sample(slice, signal);
      return await sampleInSlices(sample, { ...request, session }, this.#pieces, onTokens);
    } finally {
      if (request.session === undefined) this.release(session);
    }
  }

  async #sample(request: SampleRequest, signal?: AbortSignal): Promise<Sample> {
    const prompt = request.prompt.join();
    const place = this.#choose(request.session, prompt);
    place.prompts.push(prompt);
    try {
      return await place.sample(request, signal);
    } finally {
      place.prompts.splice(place.prompts.indexOf(prompt), 1);
    }
  }

  /** Where the session is already; else the least loaded, but rather where an equal prompt is computed anyway. */
  #choose(session: string | undefined, prompt: string): Place {
    const known = session === undefined ? undefined : this.#sessions.get(session);
    if (known) return known;
    const least = Math.min(...this.#places.map(({ prompts }) => prompts.length));
    const chosen =
      this.#places.find(({ prompts }) => prompts.length <= least + PROMPT_SLACK && prompts.includes(prompt)) ??
      this.#places.find(({ prompts }) => prompts.length === least)!;
    if (session !== undefined) this.#sessions.set(session, chosen);
    return chosen;
  }
}

/** A sampler in a further thread, which is started with its first sample. */
function helperPlace(source: SharedWeightSource, open: () => WorkerClient<WorkerThreadVerbs>): Place {
  let workerThread: WorkerClient<WorkerThreadVerbs> | undefined;
  let version: number | undefined;
  return {
    prompts: [],
    async sample(request, signal) {
      workerThread ??= open();
      const calls: Promise<unknown>[] = [];
      if (version !== source.version) {
        version = source.version;
        // Messages arrive in order, so the sample finds these weights without waiting for the reply.
        calls.push(workerThread.call('take', [version, source.effectiveWeights()]));
      }
      // An aborted one is under way until it has stopped: the workerThread reads the weights until then.
      const [sample] = await Promise.all([
        workerThread.call('sample', [request], signal, { rejects: 'when stopped' }),
        ...calls,
      ]);
      return sample;
    },
    release: (session) => workerThread?.post({ kind: 'release', session }),
    totals: async () =>
      workerThread
        ? workerThread.call('totals', [])
        : { sampledTokens: 0, prefilledTokens: 0, sampleSeconds: 0, loadSeconds: 0 },
  };
}

function ignore(): void {}
