/**
 * A retriever behind any server of the wire format (wire.ts): ours, Search-R1's, or one's own.
 *
 * A server that is restarted, overloaded or cut off in the middle of an answer is asked again, with growing waits; a server that says
 * that the request is wrong is not. What fails for good rejects with URL, reason and what to do; the rollout then ends with the
 * stop reason `search-failed` or `search-deadline`, and the run goes on.
 */
import { z } from 'zod';
import { messageOf, UserError } from '../../base/errors.ts';
import { sha256 } from '../../base/files.ts';
import { heard } from '../../base/heard.ts';
import { Passing, type Patience, patiently, retryAfter } from '../../base/retry.ts';
import { decodeText, parseJson } from '../../base/text.ts';
import type { Hit, Retriever, RetrieverInfo } from '../retriever.ts';
import { defaultLimits, parseResponse } from './wire.ts';

/** `attempts`: requests made for the same queries before giving up. */
export interface HttpRetrieverOptions extends Patience {
  /** Deadline of one request, in seconds. */
  readonly requestSeconds: number;
  /** Queries of one request; fewer where their passages would be more than a server answers with. */
  readonly batch: number;
  /** Requests under way at once for one call. */
  readonly concurrency: number;
}

/** Waits of 15 to 30 seconds in all: long enough for a server to be restarted. */
export const defaultHttpOptions: HttpRetrieverOptions = {
  requestSeconds: 30,
  attempts: 10,
  firstWait: 0.1,
  longestWait: 8,
  batch: 256,
  concurrency: 4,
};

const health = z.object({
  retriever: z.object({
    kind: z.string(),
    passages: z.int().min(0),
    corpusHash: z.string(),
    settings: z.record(z.string(), z.union([z.string(), z.number()])),
  }),
});

/**
 * Opens the server at `url` (with or without /retrieve at its end). A server that does not describe itself at /healthz is taken
 * as it is: `info` then holds 0 passages, and as corpusHash a hash of its URL, with the setting `corpus: "unverified"`.
 * @throws UserError when nothing answers there
 */
export async function openHttpRetriever(
  url: string,
  given: Partial<HttpRetrieverOptions> = {},
): Promise<HttpRetriever> {
  const options = { ...defaultHttpOptions, ...given };
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new UserError(`${url}: not a URL`, { hint: 'Expected http://host:port of a retrieval server.' });
  const { origin, username, password } = new URL(url);
  if (username !== '' || password !== '')
    throw new UserError(`${origin}: an address must not hold a password`, {
      hint: 'Addresses are printed and recorded. Put a proxy that knows the password in front of the server.',
    });
  const base = url.replace(/\/+$/, '').replace(/\/retrieve$/, '');
  const description = await askPatiently(options, undefined, async (signal) => {
    const response = await reach(`${base}/healthz`, { signal });
    // A server without this page is as good; one that is still starting is not.
    if (response.status >= 500) throw new Passing(`${base}/healthz: status ${response.status}`);
    return response.ok ? health.safeParse(await response.json().catch(() => null)) : undefined;
  }).catch((error: unknown) => {
    throw new UserError(`${base}: no retrieval server answers there (${messageOf(error)})`, {
      hint: 'Start one with: search-e1 serve-retriever DIR. Or check host and port.',
      cause: error,
    });
  });
  const told = description?.success ? description.data.retriever : undefined;
  const info: RetrieverInfo =
    told === undefined
      ? {
          kind: 'http',
          passages: 0,
          corpusHash: sha256('unverified corpus of ', base),
          settings: { url: base, corpus: 'unverified' },
        }
      : { ...told, kind: `http ${told.kind}`, settings: { ...told.settings, url: base } };
  return new HttpRetriever(base, info, options);
}

export class HttpRetriever implements Retriever {
  readonly info: RetrieverInfo;
  readonly #url: string;
  readonly #options: HttpRetrieverOptions;

  constructor(base: string, info: RetrieverInfo, options: HttpRetrieverOptions) {
    this.info = info;
    this.#url = `${base}/retrieve`;
    this.#options = options;
  }

  async search(queries: readonly string[], k: number, signal?: AbortSignal): Promise<Hit[][]> {
    const { concurrency } = this.#options;
    const batch = Math.max(1, Math.min(this.#options.batch, Math.floor(defaultLimits.maxHits / k)));
    const results: Hit[][] = new Array(queries.length);
    // The first failure stops the requests that are still under way.
    const failed = new AbortController();
    const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
    let next = 0;
    const work = async () => {
      while (next < queries.length) {
        const start = next;
        next += batch;
        const lists = await this.#ask(queries.slice(start, start + batch), k, stop);
        for (const [i, list] of lists.entries()) results[start + i] = list;
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(concurrency, Math.ceil(queries.length / batch)) }, work));
    } catch (error) {
      failed.abort(error);
      throw error;
    }
    return results;
  }

  async close(): Promise<void> {}

  #ask(queries: readonly string[], k: number, signal: AbortSignal): Promise<Hit[][]> {
    const body = JSON.stringify({ queries, topk: k, return_scores: true });
    return askPatiently(this.#options, signal, async (patience) => {
      const response = await reach(this.#url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body,
        signal: patience,
      });
      const bytes = await response.arrayBuffer().catch((error: unknown) => {
        throw new Passing(`${this.#url}: the answer broke off (${messageOf(error)})`);
      });
      const text = decodeText(new Uint8Array(bytes), this.#url);
      if (response.status === 429 || response.status >= 500)
        throw new Passing(`${this.#url}: status ${response.status}: ${heard(text)}`, {
          afterSeconds: retryAfter(response.headers),
        });
      if (!response.ok)
        throw new UserError(`${this.#url}: status ${response.status}: ${heard(text)}`, {
          hint: 'The server refuses this request; asking again would not help.',
        });
      const lists = parseResponse(parsed(text, this.#url), queries.length, k);
      if ('reason' in lists) throw new Passing(`${this.#url}: ${lists.reason}`);
      return lists;
    });
  }
}

/** Asks until there is an answer; each request has its deadline, and one that hangs is asked again like one that breaks. */
async function askPatiently<T>(
  options: HttpRetrieverOptions,
  signal: AbortSignal | undefined,
  attempt: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const withinDeadline = async () => {
    const deadline = AbortSignal.timeout(options.requestSeconds * 1000);
    try {
      return await attempt(signal === undefined ? deadline : AbortSignal.any([signal, deadline]));
    } catch (error) {
      if (error instanceof Error && error.name === 'TimeoutError') throw new Passing(error.message, { cause: error });
      throw error;
    }
  };
  return patiently(options, withinDeadline, signal).catch((error: unknown) => {
    if (!(error instanceof Passing)) throw error;
    throw new UserError(`${error.message} (asked ${options.attempts} times)`, {
      hint: 'Is the retrieval server running?',
      cause: error,
    });
  });
}

/** fetch, where a connection that fails or breaks is a passing failure. */
async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${messageOf(error.cause)}` : '';
    throw new Passing(`${url}: ${messageOf(error)}${cause}`);
  }
}

function parsed(text: string, url: string): unknown {
  try {
    return parseJson(text, url);
  } catch (error) {
    // Half an answer may be whole the next time.
    throw new Passing(messageOf(error));
  }
}
