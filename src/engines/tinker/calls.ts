/**
 * Calls that reach their result: sent, sent again where that is harmless, and, where the server answers with a promise, polled.
 *
 *   reading    freely
 *   creating   again under the same sequence number
 *   sampling   again; other tokens may come
 *   harmless   again under the same seq_id, byte for byte
 *   changing   weights or gradients: again only where the server carries a repeated seq_id out once; else a lost request is
 *              `state-unknown`, and the policy has to be restored
 *
 * A request that never left this machine, and one that was refused as too early (429, 503), has changed nothing and may always go again.
 */
import { randomUUID } from 'node:crypto';
import { pause } from '../../base/pause.ts';
import { RESTORE_HINT, reasonIn, TinkerFailure } from './failures.ts';
import { failureIn, interpretMessage, interpretPoll, type Polled, parseObject } from './futures.ts';
import { type Exchange, type Http, JSON_TYPE, type Outcome, PROTOBUF_TYPE } from './http.ts';
import { type Patience, retryAfter, Waiting } from './patience.ts';

export type CallClass = 'reading' | 'creating' | 'sampling' | 'harmless' | 'changing';

/** A call of the protocol: its name under /api/v1, its body as JSON or as a message of Protocol Buffers. */
export interface Call {
  readonly name: string;
  readonly class: CallClass;
  readonly body: string | Uint8Array;
  /** Reads a result in Protocol Buffers, into what JSON would have held; where it is given, results are asked for so. */
  readonly decode?: (message: Uint8Array) => unknown;
}

/** Deadline of a request that is answered at once, or with a promise. */
const SEND_SECONDS = 120;
/** Beyond the server's long poll. */
const POLL_MARGIN = 15;
/** Seconds between polls of a server that does not hold them. */
const POLL_PACE = { firstWait: 0.02, longestWait: 1 };

export interface CallerOptions {
  readonly http: Http;
  readonly profile: { readonly executesOnce: boolean; readonly longPollSeconds: number };
  readonly patience: Patience;
  /** Told what a person should know while a call waits. */
  readonly onNote: (text: string) => void;
  /** Ends all waiting. */
  readonly closed: AbortSignal;
}

/** Sent and accepted; `result` waits for what comes of it. */
export interface Pending {
  result(signal?: AbortSignal): Promise<unknown>;
}

export class Caller {
  /** Sampling requests that were sent again: the tokens may be other ones than those of an answer that was lost. */
  resampled = 0;
  readonly #options: CallerOptions;

  constructor(options: CallerOptions) {
    this.#options = options;
  }

  get url(): string {
    return this.#options.http.url;
  }

  /** GET, class reading. @returns undefined where there is no such page (404) */
  async read(path: string, signal?: AbortSignal): Promise<Record<string, unknown> | undefined> {
    const exchange: Exchange = { method: 'GET', path, seconds: SEND_SECONDS };
    return this.#send(exchange, { name: path, class: 'reading', body: '' }, signal, [404]);
  }

  /** The result, whether the server answers with it or with a promise of it. */
  async run(call: Call, signal?: AbortSignal): Promise<unknown> {
    return (await this.begin(call, signal)).result(signal);
  }

  /** Sends a call; resolves once the server has it. */
  async begin(call: Call, signal?: AbortSignal): Promise<Pending> {
    const key = randomUUID();
    const accepted = await this.#post(call, key, signal);
    return { result: (waiting) => this.#resultOf(call, key, accepted, waiting) };
  }

  /** Once, whatever comes of it: for calls made in passing (heartbeat, unload). */
  once(exchange: Exchange): Promise<Outcome> {
    return this.#options.http.exchange(exchange);
  }

  async #post(call: Call, key: string, signal: AbortSignal | undefined): Promise<Record<string, unknown>> {
    const exchange: Exchange = {
      method: 'POST',
      path: `/api/v1/${call.name}`,
      body: call.body,
      headers: { 'X-Idempotency-Key': key },
      seconds: Math.max(SEND_SECONDS, this.#options.profile.longPollSeconds + POLL_MARGIN),
      fresh: this.#isOnceOnly(call),
    };
    return (await this.#send(exchange, call, signal))!;
  }

  /** True for what must not be sent twice. */
  #isOnceOnly(call: Call): boolean {
    return call.class === 'changing' && !this.#options.profile.executesOnce;
  }

  /** Sends until there is an answer of status 200, by the rules of the call's class. */
  async #send(
    exchange: Exchange,
    call: Call,
    signal: AbortSignal | undefined,
    absent: readonly number[] = [],
  ): Promise<Record<string, unknown> | undefined> {
    const { http, patience } = this.#options;
    const waiting = new Waiting(patience, this.#stop(signal));
    for (;;) {
      const outcome = await http.exchange(exchange, waiting.signal);
      if (outcome.kind === 'answer') {
        const { status } = outcome;
        const text = outcome.body.toString();
        if (absent.includes(status)) return undefined;
        if (status === 200) {
          const value = parseObject(text);
          const failure = value && failureIn(value);
          if (failure?.kind === 'failed') throw this.#refused(call, failure.reason, failure.status);
          if (value !== undefined) return value;
        } else if (status === 402) {
          await this.#awaitPayment(call, waiting, reasonIn(text));
          continue;
        } else if (status < 500 && status !== 429) throw this.#refused(call, reasonIn(text), status);
        if (outcome.headers['x-should-retry'] === 'false') throw this.#refused(call, reasonIn(text), status);
      }
      const reason = http.clean(reasonFor(outcome));
      if (!(isUntouched(outcome) || !this.#isOnceOnly(call))) throw this.#unknown(call, reason);
      if (call.class === 'sampling' && !isUntouched(outcome)) this.resampled += 1;
      await waiting.pause({ named: retryAfter(outcome), tooLong: () => this.#unavailable(call, reason) });
    }
  }

  /** Polls a promise; an answer that holds no promise is the result itself. */
  async #resultOf(
    call: Call,
    key: string,
    accepted: Record<string, unknown>,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    let answer = accepted;
    for (let again = false; ; again = true) {
      if (typeof answer.request_id !== 'string') return answer;
      const polled = await this.#poll(call, answer.request_id, signal);
      if (polled.kind === 'done') return polled.value;
      if (polled.kind === 'failed') throw this.#refused(call, polled.reason, polled.status);
      // The promise is lost. Sent again under the same seq_id, once.
      if (this.#isOnceOnly(call)) throw this.#unknown(call, 'the server has lost the result');
      if (again)
        throw new TinkerFailure('unavailable', `${this.url}: ${call.name}: the server lost the result twice`, {
          hint: 'Is the server restarted, or short of memory?',
        });
      if (call.class === 'sampling') this.resampled += 1;
      answer = await this.#post(call, key, signal);
    }
  }

  async #poll(
    call: Call,
    request: string,
    signal: AbortSignal | undefined,
  ): Promise<Extract<Polled, { kind: 'done' | 'failed' | 'gone' }>> {
    const { http, patience, profile } = this.#options;
    const stop = this.#stop(signal);
    const exchange: Exchange = {
      method: 'POST',
      path: '/api/v1/retrieve_future',
      body: JSON.stringify({ request_id: request, allow_metadata_only: false }),
      seconds: profile.longPollSeconds + POLL_MARGIN,
      ...(call.decode && { headers: { Accept: `${PROTOBUF_TYPE}, ${JSON_TYPE}` } }),
    };
    let queue: string | undefined;
    let trouble = new Waiting(patience, stop);
    // Servers that answer "not yet" at once are asked less and less often.
    const pace = new Waiting({ ...patience, ...POLL_PACE }, stop);
    for (;;) {
      const outcome = await http.exchange(exchange, stop);
      const polled: Polled =
        outcome.kind === 'answer' ? interpret(outcome, call.decode) : { kind: 'trouble', reason: outcome.reason };
      switch (polled.kind) {
        case 'trouble': {
          const reason = http.clean(polled.reason);
          const tooLong = () =>
            call.class === 'changing' ? this.#unknown(call, reason) : this.#unavailable(call, reason);
          await trouble.pause({ named: retryAfter(outcome), tooLong });
          continue;
        }
        case 'again': {
          trouble = new Waiting(patience, stop);
          queue = polled.queue ?? queue;
          if (pace.elapsed > patience.progress) throw this.#stalled(call, request, pace.elapsed, queue);
          await pace.pause();
          continue;
        }
        default:
          return polled;
      }
    }
  }

  async #awaitPayment(call: Call, waiting: Waiting, reason: string): Promise<void> {
    const { paymentWait, payment } = this.#options.patience;
    if (waiting.elapsed > payment) throw this.#refused(call, reason, 402);
    this.#options.onNote(`${this.url} is paused for payment: ${reason}; asked again every ${paymentWait} s`);
    await pause(paymentWait, waiting.signal);
  }

  #stop(signal: AbortSignal | undefined): AbortSignal {
    const { closed } = this.#options;
    return signal === undefined ? closed : AbortSignal.any([closed, signal]);
  }

  #refused(call: Call, reason: string, status: number | undefined): TinkerFailure {
    const hint = refusalHint(call, status);
    const words = `${this.url} refuses ${call.name}${status === undefined ? '' : ` (${status})`}: ${this.#options.http.clean(reason)}`;
    return new TinkerFailure('refused', words, { hint, ...(status !== undefined && { status }) });
  }

  #unavailable(call: Call, reason: string): TinkerFailure {
    return new TinkerFailure('unavailable', `${this.url}: ${call.name}: no answer that helps (${reason})`, {
      hint: 'Is the server running, and is engine.url its address? What was checkpointed is continued with --resume.',
    });
  }

  #unknown(call: Call, reason: string): TinkerFailure {
    return new TinkerFailure(
      'state-unknown',
      `${this.url}: ${call.name} was sent and its outcome is unknown (${reason}); sending it again might change the weights twice`,
      { hint: RESTORE_HINT },
    );
  }

  #stalled(call: Call, request: string, seconds: number, queue: string | undefined): TinkerFailure {
    const state = queue === undefined ? '' : `; its queue says: ${queue}`;
    return new TinkerFailure(
      'stalled',
      `${this.url}: ${call.name} (request ${request}) has not ended after ${Math.round(seconds)} s${state}`,
      { hint: 'Look at the server. A longer wait: engine.progressSeconds.' },
    );
  }
}

function refusalHint({ name, body }: Call, status: number | undefined): string {
  if (status === 401 || status === 403)
    return 'The key is taken from TINKER_API_KEY, or from the file that engine.keyFile names.';
  // What servers say to a body in the encoding that they do not read: 415, or 422 as to any body that is not as it should be.
  if (typeof body !== 'string' && (status === 415 || status === 422))
    return 'It was sent in Protocol Buffers: does this server read JSON alone? (engine.overrides.encoding=json)';
  if (name.startsWith('forward') && status === 415)
    return 'It was sent in JSON: does this server read Protocol Buffers alone? (engine.overrides.encoding=protobuf)';
  return 'Asking again would not help; docs/distributed.md says what each server can do.';
}

/** Nothing was carried out: it was never sent, or the server was not ready for it. */
function isUntouched(outcome: Outcome): boolean {
  return outcome.kind === 'unsent' || (outcome.kind === 'answer' && [429, 503].includes(outcome.status));
}

function interpret({ status, headers, body }: Extract<Outcome, { kind: 'answer' }>, decode: Call['decode']): Polled {
  const isMessage = status === 200 && headers['content-type']?.startsWith(PROTOBUF_TYPE);
  return isMessage && decode !== undefined ? interpretMessage(body, decode) : interpretPoll(status, body.toString());
}

function reasonFor(outcome: Outcome): string {
  if (outcome.kind !== 'answer') return outcome.reason;
  return outcome.status === 200
    ? 'an answer that is not a JSON object'
    : `status ${outcome.status}: ${reasonIn(outcome.body.toString())}`;
}
