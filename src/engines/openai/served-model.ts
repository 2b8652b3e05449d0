/**
 * A model behind any OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, LM Studio, and hosted ones.
 *
 * Messages go to /chat/completions, a raw prompt to /completions. Replies are always streamed, so that a server that has
 * died is told from one that is thinking. Refused and failed requests are repeated by the `openai` package (408, 409, 429,
 * 5xx, connection errors; Retry-After kept up to a minute), broken replies here; a broken reply is never a short answer.
 */
import { setTimeout as wait } from 'node:timers/promises';
import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import { z } from 'zod';
import { messageOf, UserError } from '../../base/errors.ts';
import type { ServedAddress } from '../../base/served-address.ts';
import type { TextModel, TextModelInfo, TextReply, TextRequest } from '../../policy/text-model.ts';
import { Slots } from '../slots.ts';
import { BrokenReply, readReply } from './reply-stream.ts';

export interface ServedModelSettings {
  /** Sent as a bearer token; never printed, never recorded. Undefined: none is sent. */
  readonly apiKey: string | undefined;
  /** Requests under way at a time, at least 1. */
  readonly concurrency: number;
  /** How often a request that failed, or a reply that broke, is asked for again. */
  readonly retries: number;
  /** The longest silence: before the first event of a reply, and between events, in seconds. */
  readonly silenceSeconds: number;
  /** The longest time for a reply, all retries included, in seconds. */
  readonly totalSeconds: number;
}

const defaults: ServedModelSettings = {
  apiKey: undefined,
  concurrency: 16,
  retries: 5,
  silenceSeconds: 240,
  totalSeconds: 1200,
};

/** A busy server may take longer to say which models it has; that is no reason to refuse it. */
const PROBE_MILLISECONDS = 10_000;

/**
 * Opens a served model. Asks the server for its models: for the name when the address has none, else to see that it is there.
 * @throws UserError when no server answers there, or it serves several models and none was named
 */
export async function openServedModel(
  { url, model }: ServedAddress,
  options: Partial<ServedModelSettings> = {},
): Promise<ServedModel> {
  const settings = { ...defaults, ...options };
  const client = new OpenAI({
    baseURL: url,
    // Everything that the package would otherwise take from the environment and send to whatever server this is.
    apiKey: settings.apiKey ?? 'none',
    adminAPIKey: null,
    organization: null,
    project: null,
    defaultHeaders: settings.apiKey === undefined ? { Authorization: null } : {},
    maxRetries: settings.retries,
    timeout: 1000 * settings.silenceSeconds,
    // It would print requests, and broken events on standard output.
    logLevel: 'off',
  });
  if (model !== undefined) await refuseAbsent(client, settings);
  return new ServedModel(client, model ?? (await onlyModel(client, settings)), settings);
}

/** A server that lists no models may still serve the one that was named; a server that is not there cannot. */
async function refuseAbsent(client: OpenAI, settings: ServedModelSettings): Promise<void> {
  await client.get('/models', { maxRetries: 0, timeout: PROBE_MILLISECONDS }).catch((error: unknown) => {
    const absent = error instanceof APIConnectionError && !(error instanceof APIConnectionTimeoutError);
    if (absent) throw failure(error, client, settings);
  });
}

const modelList = z.looseObject({ data: z.array(z.looseObject({ id: z.string() })) });

async function onlyModel(client: OpenAI, settings: ServedModelSettings): Promise<string> {
  const where = `${client.baseURL}/models`;
  const answer: unknown = await client.get('/models', { maxRetries: 0 }).catch((error: unknown) => {
    throw failure(error, client, settings);
  });
  const list = modelList.safeParse(answer);
  if (!list.success)
    throw new UserError(`${where}: expected a list of models, found something else`, {
      hint: 'Give the base URL (it usually ends in /v1), or name the model behind "#".',
    });
  const [first, ...more] = list.data.data.map(({ id }) => id);
  if (first !== undefined && more.length === 0) return first;
  throw new UserError(
    first === undefined
      ? `${where}: the server has no model`
      : `${client.baseURL}: serves ${more.length + 1} models and the address names none`,
    { hint: first === undefined ? 'Load one first.' : `Name it, e.g. ${client.baseURL}#${first}` },
  );
}

export class ServedModel implements TextModel {
  readonly info: TextModelInfo;
  readonly #client: OpenAI;
  readonly #settings: ServedModelSettings;
  readonly #slots: Slots;
  readonly #closed = new AbortController();

  constructor(client: OpenAI, model: string, settings: ServedModelSettings) {
    this.info = { engine: 'openai', name: model, weights: null, deterministic: false };
    this.#client = client;
    this.#settings = settings;
    this.#slots = new Slots(settings.concurrency);
  }

  async complete(request: TextRequest, signal?: AbortSignal): Promise<TextReply> {
    const stopped = AbortSignal.any([this.#closed.signal, ...(signal === undefined ? [] : [signal])]);
    return this.#slots.run(() => this.#completeWithin(request, stopped), stopped);
  }

  close(): Promise<void> {
    this.#closed.abort(new Error('the model was closed'));
    return Promise.resolve();
  }

  async #completeWithin(request: TextRequest, stopped: AbortSignal): Promise<TextReply> {
    const { retries, totalSeconds } = this.#settings;
    const deadline = AbortSignal.timeout(1000 * totalSeconds);
    const signal = AbortSignal.any([stopped, deadline]);
    for (let attempt = 0; ; attempt++) {
      let heard = false;
      const hear = (listener: ((piece: string) => void) | undefined) => (piece: string) => {
        heard = true;
        listener?.(piece);
      };
      const listening = { ...request, onText: hear(request.onText), onReasoning: hear(request.onReasoning) };
      try {
        return await this.#attempt(listening, retries - attempt, signal);
      } catch (error) {
        stopped.throwIfAborted();
        if (deadline.aborted)
          throw new UserError(`${this.#client.baseURL}: no whole reply within ${totalSeconds} s`, {
            hint: 'Is the server overloaded? Fewer requests at a time may help.',
          });
        if (isContextOverflow(error)) return { text: '', finish: 'length', promptTokens: null, newTokens: null };
        // Text that somebody has read already cannot be taken back: then the failure is final.
        const retold = heard && (request.onText ?? request.onReasoning) !== undefined;
        if (!(error instanceof BrokenReply) || attempt >= retries || retold)
          throw failure(error, this.#client, this.#settings);
      }
      // As the package waits: half a second, doubled each time, at most eight, a quarter of it at random.
      const pause = Math.min(8, 0.5 * 2 ** attempt) * (1 - 0.25 * Math.random());
      await wait(1000 * pause, undefined, { signal }).catch(() => {});
    }
  }

  /** One request, repeated by the package until a reply begins, and that reply read to its end. */
  async #attempt(request: TextRequest, maxRetries: number, signal: AbortSignal): Promise<TextReply> {
    const { silenceSeconds } = this.#settings;
    const { data: events, response } = await this.#begin(request, { maxRetries, signal });
    const type = response.headers.get('content-type') ?? 'nothing';
    if (!type.startsWith('text/event-stream')) {
      events.controller.abort();
      throw new UserError(`${this.#client.baseURL}: answered with ${type}, expected text/event-stream`, {
        hint: 'Is this the base URL? It usually ends in /v1.',
      });
    }
    let silent = false;
    const watchdog = setTimeout(() => {
      silent = true;
      events.controller.abort();
    }, 1000 * silenceSeconds);
    try {
      return await readReply(watched(events, watchdog), request);
    } catch (error) {
      if (silent) throw new BrokenReply(`silence for ${silenceSeconds} s in the middle of a reply`);
      throw error instanceof BrokenReply ? error : new BrokenReply(messageOf(error), { cause: error });
    } finally {
      clearTimeout(watchdog);
    }
  }

  #begin({ prompt, maxTokens, temperature, topP = 1, stop, seed }: TextRequest, options: OpenAI.RequestOptions) {
    const settings = {
      model: this.info.name,
      // Not max_completion_tokens, which many servers do not know.
      max_tokens: maxTokens,
      temperature,
      top_p: topP,
      seed,
      ...(stop.length === 0 ? {} : { stop: [...stop] }),
      stream: true,
      stream_options: { include_usage: true },
    } as const;
    return typeof prompt === 'string'
      ? this.#client.completions.create({ ...settings, prompt }, options).withResponse()
      : this.#client.chat.completions.create({ ...settings, messages: [...prompt] }, options).withResponse();
  }
}

async function* watched(events: AsyncIterable<unknown>, watchdog: NodeJS.Timeout): AsyncGenerator<unknown> {
  for await (const event of events) {
    watchdog.refresh();
    yield event;
  }
}

/** A prompt that leaves no room is refused in as many words as there are servers. */
function isContextOverflow(error: unknown): boolean {
  if (!(error instanceof APIError) || error.status !== 400) return false;
  return error.code === 'context_length_exceeded' || /context (length|size|window)|exceed_context/i.test(error.message);
}

/** What went wrong, for the user: where, what, what to do. */
function failure(error: unknown, { baseURL }: OpenAI, { apiKey, retries, silenceSeconds }: ServedModelSettings) {
  if (error instanceof UserError) return error;
  const clean = (text: string) => (apiKey === undefined ? text : text.replaceAll(apiKey, '…')).slice(0, 500);
  const report = (what: string, hint?: string) =>
    new UserError(`${baseURL}: ${clean(what)}`, hint === undefined ? {} : { hint });
  if (error instanceof APIConnectionTimeoutError) return report(`no answer within ${silenceSeconds} s`);
  if (error instanceof APIConnectionError)
    return report(
      `no connection (${rootMessage(error)})`,
      'Is the server running, and is this its address? docs/served-models.md has the commands.',
    );
  if (error instanceof BrokenReply)
    return report(`broken reply, and ${retries} retries did not mend it: ${error.message}`);
  if (!(error instanceof APIError)) return report(messageOf(error));
  switch (error.status) {
    case 401:
    case 403:
      return report(
        error.message,
        'The key is taken from OPENAI_API_KEY, or from the variable named by --api-key-env.',
      );
    case 404:
      return report(error.message, `Is the model's name right? ${baseURL}/models lists what is served.`);
    default:
      return report(error.message);
  }
}

/** "connect ECONNREFUSED 127.0.0.1:8000" rather than "Connection error." */
function rootMessage(error: Error): string {
  let root: unknown = error;
  while (root instanceof Error && root.cause !== undefined) root = root.cause;
  const code = root instanceof Error && 'code' in root ? String(root.code) : '';
  const message = messageOf(root);
  return message === '' ? code : message;
}
