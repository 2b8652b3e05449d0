/** Sampling and scoring through a sampling session: one snapshot of weights, many requests at a time. */
import type { z } from 'zod';
import { uniformAt } from '../../base/random.ts';
import type { Slots } from '../../base/slots.ts';
import type { Sample, SampleRequest, TokenIds } from '../../policy/policy.ts';
import type { Caller } from './calls.ts';
import { type Draw, JoinedSamples, spacedSeed } from './joined-samples.ts';
import { readSamples } from './messages.ts';
import type { Profile } from './profiles.ts';
import { call } from './session.ts';
import { answerOf, answers, floats, mismatch, tokenIds } from './wire.ts';

export interface SamplerContext {
  readonly caller: Caller;
  readonly profile: Profile;
  readonly vocabulary: number;
  readonly contextLength: number;
  /** The text of each id, for stop strings. */
  readonly pieces: readonly string[];
  /** Shared by all samplers of an engine. */
  readonly slots: Slots;
}

/** The k likeliest tokens before each of a range of positions, by rows. */
export interface TopRows {
  readonly tokens: Int32Array;
  readonly logprobs: Float32Array;
}

type Sampling = Readonly<Record<string, unknown>>;
type Sequence = z.infer<typeof answers.sampled>['sequences'][number];

export class SamplingSession {
  readonly id: string;
  readonly #context: SamplerContext;
  readonly #joined: JoinedSamples<Sampling, Sequence>;
  #sent = 0;

  constructor(id: string, context: SamplerContext) {
    this.id = id;
    this.#context = context;
    this.#joined = new JoinedSamples((request, signal) => this.#draw(request, signal));
  }

  /** One continuation, cut behind the token that completes a stop string, and behind a stop token. */
  async sample(request: SampleRequest, signal?: AbortSignal): Promise<Sample> {
    const { profile, vocabulary, contextLength, caller } = this.#context;
    const room = contextLength - request.prompt.length;
    if (room < 1) return { ids: [], logprobs: [], stop: 'context' };
    const asked = Math.min(request.maxTokens, room);
    const { prompt, temperature } = request;
    const sampling = {
      max_tokens: asked,
      temperature: temperature === 1 ? profile.temperatureOne : temperature,
      top_p: request.topP ?? 1,
      top_k: request.topK ?? allTokens(profile, vocabulary),
      // A list holds strings or ids; where there are both, ids are looked for in what comes back.
      stop: request.stop.length > 0 ? request.stop : request.stopTokens,
    };
    // Differs by request and turn.
    const chance = uniformAt(request.key, request.offset ?? 0);
    // Several greedy samples are one, and servers refuse to draw them.
    const sequence =
      profile.joins && temperature > 0
        ? await this.#joined.ask({ prompt, sampling, chance, signal })
        : (await this.#draw({ prompt, sampling, count: 1, seed: spacedSeed(chance, 1) }, signal))[0]!;
    const ids = tokenIds(sequence.tokens, vocabulary, caller.url, 'asample');
    if (ids.length > asked) throw mismatch(caller.url, 'asample', `${ids.length} tokens where ${asked} were asked for`);
    const logprobs = floats(sequence.logprobs, ids.length, caller.url, 'asample');
    return cutAtStop(ids, logprobs, request, this.#context.pieces, asked < request.maxTokens);
  }

  /** log π of given ids, a stream (entry 0 is 0). */
  async score(ids: TokenIds, signal?: AbortSignal): Promise<Float32Array> {
    const { caller } = this.#context;
    const { prompt_logprobs: scores } = await this.#scored(ids, { prompt_logprobs: true }, signal);
    if (!scores) throw mismatch(caller.url, 'asample', 'prompt_logprobs is missing');
    const out = new Float32Array(ids.length);
    out.set(floats(scores, ids.length - 1, caller.url, 'asample', this.#first(scores, ids)), 1);
    return out;
  }

  /** The k likeliest tokens at positions start … ids.length − 1, likeliest first. */
  async topLogprobs(ids: TokenIds, start: number, k: number, signal?: AbortSignal): Promise<TopRows> {
    const { caller, vocabulary } = this.#context;
    const asked = { prompt_logprobs: true, topk_prompt_logprobs: k };
    const { topk_prompt_logprobs: table } = await this.#scored(ids, asked, signal);
    if (!table) throw mismatch(caller.url, 'asample', 'topk_prompt_logprobs is missing');
    const shift = this.#first(table, ids) - 1;
    if (table.length - shift !== ids.length)
      throw mismatch(caller.url, 'asample', `${table.length} rows for ${ids.length} tokens`);
    const rows = ids.length - start;
    const out = { tokens: new Int32Array(rows * k), logprobs: new Float32Array(rows * k) };
    for (let row = 0; row < rows; row++) {
      const entries = likeliest(table[start + row + shift], k, vocabulary);
      if (entries === undefined)
        throw mismatch(caller.url, 'asample', `row ${start + row} of topk_prompt_logprobs has no ${k} entries`);
      for (const [column, [token, logprob]] of entries.entries()) {
        out.tokens[row * k + column] = token;
        out.logprobs[row * k + column] = logprob;
      }
    }
    return out;
  }

  async #draw(...[request, signal]: Parameters<Draw<Sampling, Sequence>>): Promise<Sequence[]> {
    const { prompt, sampling, count, seed } = request;
    const { url } = this.#context.caller;
    const answer = await this.#ask(prompt, { ...sampling, seed }, { num_samples: count }, signal);
    const { sequences } = answerOf(answers.sampled, answer, url, 'asample');
    if (sequences.length < count)
      throw mismatch(url, 'asample', `${sequences.length} samples where ${count} were asked for`);
    return sequences;
  }

  async #scored(ids: TokenIds, asked: object, signal: AbortSignal | undefined) {
    const { profile, caller } = this.#context;
    const greedy = { max_tokens: 1, temperature: profile.temperatureOne, seed: 0 };
    return answerOf(answers.scored, await this.#ask(ids, greedy, asked, signal), caller.url, 'asample');
  }

  /** The index of the second token's entry: 1 where the first has one of null, 0 where it was left out. */
  #first(scores: readonly unknown[], ids: TokenIds): number {
    return this.#context.profile.firstLogprob === 'missing' && scores.length === ids.length - 1 ? 0 : 1;
  }

  #ask(prompt: TokenIds, sampling: object, more: object, signal: AbortSignal | undefined): Promise<unknown> {
    const { slots, caller, profile } = this.#context;
    const { encoding } = profile;
    return slots.run(() => {
      this.#sent += 1;
      const body = {
        num_samples: 1,
        prompt: { chunks: [{ type: 'encoded_text', tokens: prompt }] },
        sampling_session_id: this.id,
        seq_id: this.#sent,
        sampling_params: sampling,
        ...more,
        type: 'sample',
      };
      const asked = call('asample', 'sampling', body);
      return caller.run(encoding === 'protobuf' ? { ...asked, decode: readSamples } : asked, signal);
    }, signal);
  }
}

/** hatchery takes no larger top_k: beyond this vocabulary its samples are cut. */
const MOST_TOP_K = 1000;

/** Whether samples come from the whole distribution. */
export function samplesAll({ topKAll }: Profile, vocabulary: number): boolean {
  return topKAll === 'minus-one' || vocabulary <= MOST_TOP_K;
}

function allTokens({ topKAll }: Profile, vocabulary: number): number {
  return topKAll === 'minus-one' ? -1 : Math.min(vocabulary, MOST_TOP_K);
}

/** What the contract says of a sample, whatever the server does with stops: nothing behind the token that ends it. */
function cutAtStop(
  ids: TokenIds,
  logprobs: Float32Array,
  { stop, stopTokens, maxTokens }: SampleRequest,
  pieces: readonly string[],
  contextFull: boolean,
): Sample {
  const upTo = (length: number, reason: Sample['stop']): Sample => ({
    ids: ids.slice(0, length),
    logprobs: [...logprobs.subarray(0, length)],
    stop: reason,
  });
  const longest = Math.max(0, ...stop.map((string) => string.length));
  let tail = '';
  for (const [i, id] of ids.entries()) {
    if (stopTokens.includes(id)) return upTo(i + 1, 'stop-token');
    tail += pieces[id] ?? '';
    if (stop.some((string) => tail.includes(string))) return upTo(i + 1, 'stop');
    tail = longest > 1 ? tail.slice(1 - longest) : '';
  }
  return upTo(ids.length, contextFull && ids.length < maxTokens ? 'context' : 'length');
}

/**
 * k pairs [id, log-probability] of one position, likeliest first, each id once: a table may hold the prompt's own token
 * besides, in any order. Undefined where it has fewer.
 */
function likeliest(row: unknown, k: number, vocabulary: number): (readonly [number, number])[] | undefined {
  if (!Array.isArray(row)) return undefined;
  const found = new Map<number, number>();
  for (const entry of row as unknown[]) {
    if (!Array.isArray(entry)) return undefined;
    const [id, logprob] = entry as unknown[];
    if (!Number.isInteger(id) || typeof logprob !== 'number') return undefined;
    // Ids beyond the tokenizer's are padding of the model's head.
    if ((id as number) >= 0 && (id as number) < vocabulary) found.set(id as number, logprob);
  }
  const sorted = [...found].sort(([, a], [, b]) => b - a).slice(0, k);
  return sorted.length === k ? sorted : undefined;
}
