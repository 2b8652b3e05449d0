/**
 * A training server in this process, on the loopback interface: the protocol's calls over a real little model (mock-model.ts),
 * in the dialect of any server (dialects.ts), with faults by script (faults.ts). It records every request.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../../../base/errors.ts';
import { PROTOBUF_TYPE } from '../http.ts';
import { type AdamParams, CopyingBigram } from './copying-bigram.ts';
import type { Dialect } from './dialects.ts';
import { type Fault, Faults, inJson, sendFaulty, type Written } from './faults.ts';
import { readPassRequest, writeResult } from './mock-messages.ts';
import { MockModel, Refusal, type SavedModel, sampleFrom, type WireDatum, type WireSampling } from './mock-model.ts';

export interface MockOptions {
  readonly dialect: Dialect;
  readonly initial: CopyingBigram;
  /** Text of each token, for stop strings. */
  readonly pieces: readonly string[];
  readonly key?: string;
  /** healthz says "starting" so many times. */
  readonly startingFor?: number;
  /** Polls answer try_again so many times before a result; an index counts all promises, so that results come out of order. */
  readonly tryAgain?: (index: number) => number;
}

export interface Recorded {
  readonly method: string;
  readonly url: string;
  readonly call: string;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly body: Record<string, unknown>;
}

type Answer = Record<string, unknown>;
type Body = Record<string, unknown>;

interface Sampling {
  readonly model: MockModel | undefined;
  readonly bigram: CopyingBigram;
  readonly version: number;
}

const BASE_MODEL = 'mock/bigram';

export class MockServer {
  readonly baseModel = BASE_MODEL;
  readonly requests: Recorded[] = [];
  readonly faults = new Faults();
  /** forward_backward and optim_step that were carried out, by name, in order. */
  readonly carriedOut: string[] = [];
  /** What save_weights has kept; survives a death. */
  readonly saved = new Map<string, SavedModel>();
  readonly #options: MockOptions;
  #server: Server | undefined;
  #port = 0;
  #models = new Map<string, MockModel>();
  #loaded = new Set<string>();
  #samplers = new Map<string, Sampling>();
  #sessions = new Set<string>();
  #promises = new Map<string, { call: string; answer: Answer; waits: number }>();
  /** By operation, model and seq_id: the body and the answer. */
  #seen = new Map<string, { text: string; answer: Answer }>();
  #lastSeq = new Map<string, number>();
  readonly #firstSaves = new Map<string, SavedModel>();
  #count = 0;
  #promised = 0;
  #starting: number;

  constructor(options: MockOptions) {
    this.#options = options;
    this.#starting = options.startingFor ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Models that are held at present. */
  get models(): readonly MockModel[] {
    return [...this.#models.values()];
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((listening) => server.listen(this.#port, '127.0.0.1', listening));
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Ends it, connections cut. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    await new Promise<void>((closed) => {
      server.close(() => closed());
      server.closeAllConnections();
    });
  }

  /** As when the process is killed: what was saved is all that is left. */
  async die(): Promise<void> {
    this.#models = new Map();
    this.#loaded = new Set();
    this.#samplers = new Map();
    this.#sessions = new Set();
    this.#promises = new Map();
    this.#seen = new Map();
    this.#lastSeq = new Map();
    await this.stop();
  }

  /** The server no longer knows sessions and models, as after a long silence. */
  expireSessions(): void {
    this.#sessions.clear();
    this.#models.clear();
    this.#samplers.clear();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const bytes = Buffer.concat(parts);
    const url = request.url!;
    const called = new URL(url, 'http://x').pathname.replace('/api/v1/', '');
    const isMessage = request.headers['content-type'] === PROTOBUF_TYPE;
    const { name, body } = isMessage
      ? readPassRequest(bytes)
      : { name: called, body: (bytes.length === 0 ? {} : JSON.parse(bytes.toString())) as Body };
    const text = bytes.toString(isMessage ? 'latin1' : 'utf8');
    const polled = name === 'retrieve_future' ? this.#promises.get(String(body.request_id)) : undefined;
    const call = polled === undefined ? name : `retrieve ${polled.call}`;
    this.requests.push({ method: request.method!, url, call: name, headers: request.headers, text, body });

    const fault = this.faults.take(call);
    if (fault !== undefined && (await this.#failBefore(fault, request, response))) return;
    const key = this.#options.key;
    try {
      if (key !== undefined && name !== 'healthz' && request.headers['x-api-key'] !== key)
        throw new Refusal(401, 'Invalid API key');
      this.#checkEncoding(name, called, isMessage);
      const answer = this.#answer(name, body, text, request.method!);
      if (fault?.kind === 'death after') await this.die();
      else if (fault !== undefined) sendFaulty(fault, answer, request, response, this.#writer(polled?.call, request));
      else send(response, 200, answer, this.#writer(polled?.call, request));
    } catch (error) {
      if (!(error instanceof Refusal)) send(response, 500, { detail: messageOf(error) });
      else if (error.status === 200) send(response, 200, { error: error.message });
      else send(response, error.status, error.status === 408 ? {} : { detail: error.message });
    }
  }

  #checkEncoding(name: string, called: string, isMessage: boolean): void {
    if (name !== 'forward' && name !== 'forward_backward') return;
    const { encodings } = this.#options.dialect;
    if (isMessage && (encodings === 'json' || called !== 'forward_backward'))
      throw new Refusal(422, 'body: Input should be a valid dictionary');
    if (!isMessage && encodings === 'protobuf') throw new Refusal(415, 'Unsupported content type: application/json');
  }

  /** Results of some calls are messages, where they are asked for. */
  #writer(call: string | undefined, { headers }: IncomingMessage): Written {
    if (this.#options.dialect.encodings === 'json' || !headers.accept?.includes(PROTOBUF_TYPE)) return inJson;
    if (call !== 'forward' && call !== 'forward_backward' && call !== 'asample') return inJson;
    return (answer) =>
      'sequences' in answer || 'loss_fn_outputs' in answer
        ? { type: PROTOBUF_TYPE, body: Buffer.from(writeResult(answer)) }
        : inJson(answer);
  }

  async #failBefore(fault: Fault, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    if (fault.kind === 'status') {
      response
        .writeHead(fault.status, { 'Content-Type': 'application/json', ...fault.headers })
        .end(fault.body ?? '{}');
      return true;
    }
    if (fault.kind === 'reset before') request.socket.destroy();
    else if (fault.kind === 'death before') await this.die();
    else return false;
    return true;
  }

  #answer(name: string, body: Body, text: string, method: string): Answer {
    const { dialect } = this.#options;
    if (method === 'DELETE') {
      const [, run, last] = /^training_runs\/([^/]+)\/checkpoints\/(?:weights\/)?([^/]+)$/.exec(name) ?? [];
      if (!this.saved.delete(`tinker://${run}/weights/${last}`)) throw new Refusal(404, 'no such checkpoint');
      return { deleted: true };
    }
    switch (name) {
      case 'healthz':
        if (this.#starting > 0) {
          this.#starting -= 1;
          return { status: 'starting' };
        }
        return { status: 'ok' };
      case 'get_server_capabilities':
        return { supported_models: [{ model_name: BASE_MODEL, max_context_length: 512 }] };
      case 'client/config':
        return {};
      case 'create_session': {
        const id = this.#next('session');
        this.#sessions.add(id);
        return { session_id: id, info_message: null, warning_message: null, error_message: null };
      }
      case 'session_heartbeat':
        if (!this.#sessions.has(String(body.session_id))) throw new Refusal(404, 'unknown session');
        return {};
      case 'retrieve_future':
        return this.#retrieve(String(body.request_id));
      case 'asample':
        return this.#promise(name, this.#sample(body));
      case 'get_info':
        if (!this.#models.has(String(body.model_id))) throw new Refusal(404, 'model_id not found');
        return { model_data: { model_name: BASE_MODEL }, is_lora: true };
      case 'unload_model':
        if (!dialect.unload) throw new Refusal(404, 'Not Found');
        this.#models.delete(String(body.model_id));
        return {};
      case 'create_model':
        return this.#promise(
          name,
          this.#once(name, String(body.session_id), body, text, () => this.#createModel(body)),
        );
      case 'create_sampling_session': {
        const answer = this.#once(name, String(body.session_id), body, text, () => this.#createSampler(body));
        return dialect.promisedSession ? this.#promise(name, answer) : answer;
      }
      default:
        return this.#modelCall(name, body, text);
    }
  }

  /** Requests of a model carry a seq_id; a repeated one is treated as the dialect says. */
  #modelCall(name: string, body: Body, text: string): Answer {
    const { repeated, gaps } = this.#options.dialect;
    const id = String(body.model_id);
    const model = this.#models.get(id);
    if (model === undefined) throw new Refusal(404, 'model_id not found');
    const seq = Number(body.seq_id);
    const key = `${name} ${id} ${seq}`;
    const before = this.#seen.get(key);
    if (before !== undefined && repeated === 'once') {
      if (before.text !== text) throw new Refusal(409, 'seq_id was used with another body');
      return before.answer;
    }
    const expected = (this.#lastSeq.get(id) ?? 0) + 1;
    if (gaps === 'refused' && seq !== expected) throw new Refusal(400, `seq_id ${seq} where ${expected} was expected`);
    const promise = this.#promise(name, this.#carryOut(name, id, model, body));
    this.#lastSeq.set(id, seq);
    const answer = before !== undefined && repeated === 'twice under one id' ? before.answer : promise;
    this.#seen.set(key, { text, answer });
    return answer;
  }

  #carryOut(name: string, id: string, model: MockModel, body: Body): Answer {
    const { dialect } = this.#options;
    const isFirst = !this.#loaded.has(id);
    this.#loaded.add(id);
    switch (name) {
      case 'forward':
      case 'forward_backward': {
        const input = (body.forward_input ?? body.forward_backward_input) as {
          data: WireDatum[];
          loss_fn: string;
          loss_fn_config?: Record<string, number>;
        };
        const found = model.forward(input.data, input.loss_fn, input.loss_fn_config ?? {}, name === 'forward_backward');
        if (name === 'forward_backward') this.carriedOut.push(name);
        return {
          loss_fn_output_type: input.loss_fn,
          loss_fn_outputs: found.logprobs.map((data) => ({
            logprobs: { data, dtype: 'float32', shape: [data.length] },
          })),
          metrics: { 'loss:sum': found.loss, 'loss:mean': found.loss },
        };
      }
      case 'optim_step': {
        const norm = model.step(body.adam_params as AdamParams);
        this.carriedOut.push(name);
        return { metrics: dialect.gradientNorm === null ? {} : { [dialect.gradientNorm]: norm } };
      }
      case 'save_weights': {
        const path = `tinker://${id}/weights/${String(body.path)}`;
        const first = this.#firstSaves.get(id) ?? model.save();
        this.#firstSaves.set(id, first);
        this.saved.set(path, dialect.savesOnce ? first : model.save());
        return { path };
      }
      case 'save_weights_for_sampler': {
        const sampler = this.#next('sampler');
        const { bigram, version } = model;
        const live = dialect.sampler !== 'copy';
        this.#samplers.set(sampler, {
          model: live ? model : undefined,
          bigram: live ? bigram : bigram.copy(),
          version,
        });
        return { path: null, sampling_session_id: sampler };
      }
      case 'load_weights': {
        if (dialect.load === 'first' && !isFirst) throw new Refusal(400, 'load_weights must be the first request');
        const saved = this.saved.get(String(body.path));
        if (saved === undefined) throw new Refusal(404, 'checkpoint not found');
        model.load(saved, body.optimizer === true);
        return {};
      }
      default:
        throw new Refusal(404, `no call ${name}`);
    }
  }

  #createModel(body: Body): Answer {
    if (!this.#sessions.has(String(body.session_id))) throw new Refusal(404, 'unknown session');
    if (body.base_model !== BASE_MODEL) throw new Refusal(400, 'unknown base model');
    const id = this.#next('model');
    this.#models.set(id, new MockModel(this.#options.initial, this.#options.dialect));
    return { model_id: id };
  }

  #createSampler(body: Body): Answer {
    const id = this.#next('sampler');
    const saved = typeof body.model_path === 'string' ? this.saved.get(body.model_path) : undefined;
    if (body.model_path !== undefined && saved === undefined) throw new Refusal(404, 'checkpoint not found');
    const { initial } = this.#options;
    const bigram = saved === undefined ? initial : new CopyingBigram(initial.vocabulary, saved.parameters);
    this.#samplers.set(id, { model: undefined, bigram, version: 0 });
    return { sampling_session_id: id };
  }

  #sample(body: Body): Answer {
    const { dialect, pieces } = this.#options;
    const sampling = this.#samplers.get(String(body.sampling_session_id));
    if (sampling === undefined) throw new Refusal(404, 'unknown sampling session');
    if (
      dialect.sampler === 'stale error' &&
      sampling.model !== undefined &&
      sampling.model.version !== sampling.version
    )
      throw new Refusal(200, "HTTPException(status_code=409, detail='the sampling session is stale')");
    const bigram = sampling.model?.bigram ?? sampling.bigram;
    const params = body.sampling_params as WireSampling;
    const prompt = (body.prompt as WireDatum['model_input']).chunks.flatMap(({ tokens }) => tokens);
    const k = Number(body.topk_prompt_logprobs ?? 0);
    if (k > dialect.topLogprobs) throw new Refusal(400, `topk_prompt_logprobs is at most ${dialect.topLogprobs}`);
    const count = Number(body.num_samples);
    if (count > 1 && params.temperature === 0) throw new Refusal(500, 'greedy methods give one sequence');
    const sequences = Array.from({ length: count }, (_, i) =>
      sampleFrom(bigram, prompt, { ...params, seed: (params.seed ?? 0) + i }, count, dialect, pieces),
    );
    if (body.prompt_logprobs !== true) return { sequences };
    const rows = [...bigram.rows(prompt)].slice(0, -1);
    const first = dialect.firstLogprob === 'missing' ? [] : [null];
    const top = (logp: Float64Array) =>
      [...logp]
        .map((logprob, id) => [id, logprob] as const)
        .sort(([, a], [, b]) => b - a)
        .slice(0, k);
    return {
      sequences,
      prompt_logprobs: [...first, ...rows.map(({ t, logp }) => logp[prompt[t]!]!)],
      topk_prompt_logprobs: k === 0 ? null : [...first, ...rows.map(({ logp }) => top(logp))],
    };
  }

  /** The answer to the first request of this number, where the dialect knows repeated ones. */
  #once(name: string, parent: string, body: Body, text: string, work: () => Answer): Answer {
    const key = `${name} ${parent} ${String(body.model_seq_id ?? body.sampling_session_seq_id)}`;
    const before = this.#seen.get(key);
    if (before !== undefined) {
      if (before.text !== text) throw new Refusal(409, 'the number was used with another body');
      return before.answer;
    }
    const answer = work();
    this.#seen.set(key, { text, answer });
    return answer;
  }

  #promise(call: string, answer: Answer): Answer {
    const id = this.#next('request');
    this.#promises.set(id, { call, answer, waits: this.#options.tryAgain?.(this.#promised++) ?? 0 });
    return { request_id: id };
  }

  #retrieve(id: string): Answer {
    const promise = this.#promises.get(id);
    if (promise === undefined) {
      if (this.#options.dialect.resultOnce) throw new Refusal(200, `future id ${id} is unknown`);
      throw new Refusal(404, 'request_id not found');
    }
    if (promise.waits > 0) {
      promise.waits -= 1;
      return { type: 'try_again', queue_state: 'active', queue_state_reason: 'busy' };
    }
    if (this.#options.dialect.resultOnce) this.#promises.delete(id);
    return promise.answer;
  }

  #next(kind: string): string {
    this.#count += 1;
    return `${kind}-${this.#count}`;
  }
}

function send(response: ServerResponse, status: number, answer: Answer, write = inJson): void {
  const { type, body } = write(answer);
  response.writeHead(status, { 'Content-Type': type }).end(body);
}
