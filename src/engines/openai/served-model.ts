/**
 * A model behind any OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, LM Studio, and hosted ones.
 *
 * Messages go to /chat/completions, a raw prompt to /completions. Replies are asked for as streams, so that a server that has
 * died is told from one that is thinking. Failed requests are repeated by the `openai` package (408, 409, 429, 5xx, connection
 * errors; Retry-After kept up to a minute), broken replies here; what can be done about a refusal is in refusal.ts. Neither a
 * broken reply nor a refusal is ever a short answer.
 */
import { setTimeout as wait } from 'node:timers/promises';
import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import { z } from 'zod';
import { messageOf, UserError } from '../../base/errors.ts';
import { heard } from '../../base/heard.ts';
import type { TextModel, TextModelInfo, TextReply, TextRequest } from '../../policy/text-model.ts';
import type { ServedAddress } from './address.ts';
import { fewerTokens, isRefusal, type OptionalField, refusedField } from './refusal.ts';
import { NoReply, replyEvents } from './reply-events.ts';
import { BrokenReply, readReply } from './reply-stream.ts';
import { Slots } from './slots.ts';

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
  const [first, ...more] = list.data.data.map(({ id }) => heard(id, [settings.apiKey]));
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
  /** What this server refuses; it is not asked with it again. */
  readonly #leftOut = new Set<OptionalField>();
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
      let told = false;
      const tell = (listener: ((piece: string) => void) | undefined) => (piece: string) => {
        told = true;
        listener?.(piece);
      };
      const listening = { ...request, onText: tell(request.onText), onReasoning: tell(request.onReasoning) };
      try {
        return await this.#acceptable(listening, retries - attempt, signal);
      } catch (error) {
        stopped.throwIfAborted();
        if (deadline.aborted)
          throw new UserError(`${this.#client.baseURL}: no whole reply within ${totalSeconds} s`, {
            hint: 'Is the server overloaded? Fewer requests at a time may help.',
          });
        // Text that somebody has read already cannot be taken back: then the failure is final.
        const retold = told && (request.onText ?? request.onReasoning) !== undefined;
        if (!(error instanceof BrokenReply) || attempt >= retries || retold)
          throw failure(error, this.#client, this.#settings, attempt);
      }
      // As the package waits: half a second, doubled each time, at most eight, a quarter of it at random.
      const pause = Math.min(8, 0.5 * 2 ** attempt) * (1 - 0.25 * Math.random());
      await wait(1000 * pause, undefined, { signal }).catch(() => {});
    }
  }

  /** Asks, and after a refusal asks what the server may accept; rejects with the first refusal when there is no such thing. */
  async #acceptable(request: TextRequest, maxRetries: number, signal: AbortSignal): Promise<TextReply> {
    let { maxTokens } = request;
    let refusal: APIError | undefined;
    for (;;) {
      // Others may learn of a field while this request is under way.
      const without = new Set(this.#leftOut);
      try {
        const reply = await this.#attempt({ ...request, maxTokens }, without, maxRetries, signal);
        return without.size === 0 ? reply : { ...reply, leftOut: [...without].sort() };
      } catch (error) {
        if (!isRefusal(error)) throw error;
        const field = refusedField(error, request, without);
        if (field !== undefined) {
          this.#leftOut.add(field);
          continue;
        }
        refusal ??= error;
        const fewer = fewerTokens(error, maxTokens);
        if (fewer === undefined) throw refusal;
        maxTokens = fewer;
      }
    }
  }

  /** One request, repeated by the package until a reply begins, and that reply read to its end. */
  async #attempt(
    request: TextRequest,
    without: ReadonlySet<OptionalField>,
    maxRetries: number,
    signal: AbortSignal,
  ): Promise<TextReply> {
    const { silenceSeconds } = this.#settings;
    const { data: stream, response } = await this.#begin(request, without, { maxRetries, signal });
    let silent = false;
    const watchdog = setTimeout(() => {
      silent = true;
      stream.controller.abort();
    }, 1000 * silenceSeconds);
    try {
      return await readReply(watched(replyEvents(response), watchdog), request);
    } catch (error) {
      if (silent) throw new BrokenReply(`silence for ${silenceSeconds} s in the middle of a reply`);
      if (error instanceof BrokenReply || error instanceof NoReply) throw error;
      throw new BrokenReply(messageOf(error), { cause: error });
    } finally {
      clearTimeout(watchdog);
      stream.controller.abort();
    }
  }

  #begin(request: TextRequest, without: ReadonlySet<OptionalField>, options: OpenAI.RequestOptions) {
    const { prompt, maxTokens, temperature, topP = 1, stop, seed } = request;
    const settings = {
      model: this.info.name,
      // Not max_completion_tokens, which many servers do not know, unless this one knows nothing else.
      ...(without.has('max_tokens') ? { max_completion_tokens: maxTokens } : { max_tokens: maxTokens }),
      ...(!without.has('temperature') && { temperature }),
      ...(!without.has('top_p') && { top_p: topP }),
      ...(!without.has('seed') && { seed }),
      ...(stop.length > 0 && !without.has('stop') && { stop: [...stop] }),
      stream: true,
      ...(!without.has('stream_options') && { stream_options: { include_usage: true } }),
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

/**
 * What went wrong, for the user: where, what, what to do.
 * @param attempt how often a broken reply was asked for again
 */
function failure(error: unknown, { baseURL }: OpenAI, { apiKey, silenceSeconds }: ServedModelSettings, attempt = 0) {
  const report = (what: string, hint?: string) =>
    new UserError(`${baseURL}: ${heard(what, [apiKey])}`, hint === undefined ? {} : { hint });
  if (error instanceof UserError) return report(error.message, error.hint);
  if (error instanceof APIConnectionTimeoutError) return report(`no answer within ${silenceSeconds} s`);
  if (error instanceof APIConnectionError)
    return report(
      `no connection (${rootMessage(error)})`,
      'Is the server running, and is this its address? docs/served-models.md has the commands.',
    );
  if (error instanceof BrokenReply) {
    const asked = attempt === 0 ? '' : `, and ${attempt} ${attempt === 1 ? 'retry' : 'retries'} did not mend it`;
    return report(`broken reply${asked}: ${error.message}`);
  }
  if (!(error instanceof APIError)) return report(messageOf(error));
  return report(error.message, hintFor(error, baseURL));
}

function hintFor({ status, message }: APIError, baseURL: string): string | undefined {
  if (status === 401 || status === 403)
    return 'The key is taken from OPENAI_API_KEY, or from the variable named by --api-key-env.';
  if (status === 404)
    return `Is this the base URL (it usually ends in /v1), and the model's name right? ${baseURL}/models lists what is served.`;
  return /context|token|length|long|large|exceed/i.test(message)
    ? 'Give the server a larger context, or ask for less: --context-tokens, --turn-tokens, --searches, -k.'
    : undefined;
}

/** "connect ECONNREFUSED 127.0.0.1:8000" rather than "Connection error." */
function rootMessage(error: Error): string {
  let root: unknown = error;
  while (root instanceof Error && root.cause !== undefined) root = root.cause;
  const code = root instanceof Error && 'code' in root ? String(root.code) : '';
  const message = messageOf(root);
  return message === '' ? code : message;
}
