/** What the retrieval server does with one request: routes, limits, answers, and a status and a reason for all that is refused. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../base/errors.ts';
import type { Retriever } from '../retriever.ts';
import { refusedSource } from './access.ts';
import { answer, PassageSizes } from './answer.ts';
import { ByteBudget, parseJsonBody, Refusal, readBody } from './body.ts';
import { ServerMetrics } from './metrics.ts';
import { Pace } from './pace.ts';
import { parseRequest, type RetrieveLimits } from './wire.ts';

export interface ServiceOptions {
  /** What was to be listened on. */
  readonly host: string;
  /** Names beside its address by which the server may be asked. */
  readonly names: readonly string[];
  readonly limits: RetrieveLimits;
  /** Bytes of a request's body. */
  readonly maxBody: number;
  /** Requests under way at a time; further ones get 503. */
  readonly maxRequests: number;
  /** From a request's end to the end of its answer. */
  readonly searchSeconds: number;
}

/** Bodies of all requests under way together. */
const BODY_BYTES = 64 * 2 ** 20;
const PACE = { makers: 4, unsent: 64 * 2 ** 20, partSeconds: 10 };
/** How long the rest of a refused request is passed over: a client that is cut off while it sends does not read. */
const REST_MILLISECONDS = 2000;
/** Of a client that left before its answer ended; nobody gets it, it is counted. */
const CLIENT_LEFT = 499;

/** What is known of a request for its end: for the metrics. */
interface Work {
  queries: number;
  start: number;
}

export class Service {
  readonly #retriever: Retriever;
  readonly #options: ServiceOptions;
  readonly #address: string;
  readonly #metrics = new ServerMetrics();
  readonly #bodies = new ByteBudget(BODY_BYTES);
  readonly #pace = new Pace(PACE);
  readonly #sizes = new PassageSizes();
  #underWay = 0;
  #closing: { answered: number; unanswered: number } | undefined;

  /** @param address that was taken */
  constructor(retriever: Retriever, options: ServiceOptions, address: string) {
    this.#retriever = retriever;
    this.#options = options;
    this.#address = address;
  }

  /** From now on each answer is the last one of its connection. */
  beginClosing(): void {
    this.#closing = { answered: 0, unanswered: 0 };
  }

  /** Requests since then; what is still under way counts as unanswered. */
  sinceClosing(): { answered: number; unanswered: number } {
    const { answered, unanswered } = this.#closing ?? { answered: 0, unanswered: 0 };
    return { answered, unanswered: unanswered + this.#underWay };
  }

  /** Answers a request; never rejects. */
  async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Heard of where the body is read and where the answer is sent.
    request.on('error', () => {});
    response.on('error', () => {});
    this.#underWay += 1;
    response.once('close', () => {
      this.#underWay -= 1;
      if (this.#closing !== undefined) this.#closing[response.writableFinished ? 'answered' : 'unanswered'] += 1;
    });
    if (this.#closing !== undefined) response.shouldKeepAlive = false;
    const work: Work = { queries: 0, start: performance.now() };
    try {
      const { host, names } = this.#options;
      const reason = refusedSource(request.headers, { host, names, address: this.#address });
      if (reason !== undefined) throw new Refusal(403, reason);
      await this.#route(request, response, work);
      this.#count(200, work);
    } catch (error) {
      const refusal = error instanceof Refusal ? error : new Refusal(500, messageOf(error));
      this.#count(refusal.status, work);
      refuse(request, response, refusal);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, work: Work): Promise<void> {
    const { method, url = '/' } = request;
    const page = url.split('?', 1)[0];
    const reads = method === 'GET' || method === 'HEAD';
    if (page === '/retrieve' && method === 'POST') return this.#retrieve(request, response, work);
    if (page === '/retrieve') throw new Refusal(405, 'expected POST');
    if (page === '/healthz' && reads)
      return sendPage(response, 'application/json', JSON.stringify({ status: 'ok', retriever: this.#retriever.info }));
    if (page === '/metrics' && reads) return sendPage(response, 'text/plain; version=0.0.4', this.#metricsText());
    throw new Refusal(404, 'expected POST /retrieve, GET /healthz or GET /metrics');
  }

  async #retrieve(request: IncomingMessage, response: ServerResponse, work: Work): Promise<void> {
    const { limits, maxBody, maxRequests, searchSeconds } = this.#options;
    checkHeaders(request, maxBody);
    if (this.#metrics.inFlight >= maxRequests) throw new Refusal(503, 'too many requests at once; ask again');
    this.#metrics.inFlight += 1;
    const share = this.#bodies.share();
    const over = new AbortController();
    const leave = () => over.abort(new Refusal(CLIENT_LEFT, 'the client left, or took the answer too slowly'));
    response.once('close', leave);
    let timer: NodeJS.Timeout | undefined;
    try {
      if (request.headers.expect !== undefined) response.writeContinue();
      const body = await readBody(request, maxBody, share.take);
      work.start = performance.now();
      const asked = parseRequest(parseJsonBody(body), limits);
      if ('reason' in asked) throw new Refusal(asked.status, asked.reason);
      work.queries = asked.queries.length;
      this.#metrics.longQueries += asked.tooLong.size;
      const late = new Refusal(503, `no result within ${searchSeconds} s`);
      timer = setTimeout(() => over.abort(late), searchSeconds * 1000);
      const tools = { retriever: this.#retriever, pace: this.#pace, sizes: this.#sizes, signal: over.signal };
      await answer(asked, response, tools);
    } catch (error) {
      throw over.signal.aborted ? over.signal.reason : error;
    } finally {
      clearTimeout(timer);
      response.off('close', leave);
      share.giveBack();
      this.#metrics.inFlight -= 1;
    }
  }

  #count(status: number, { queries, start }: Work): void {
    this.#metrics.count(status, queries, (performance.now() - start) / 1000);
  }

  #metricsText(): string {
    const gauges = { passages: this.#retriever.info.passages, resident_bytes: process.memoryUsage.rss() };
    return this.#metrics.text(gauges, this.#retriever.statistics?.());
  }
}

/** @throws Refusal 415 unless the body is said to be plain JSON, which a page of elsewhere cannot say unasked; 413 when it is said to be too large */
function checkHeaders({ headers }: IncomingMessage, maxBody: number): void {
  const type = headers['content-type'] ?? '';
  if (!/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type))
    throw new Refusal(415, `Content-Type: expected application/json, found ${JSON.stringify(type.slice(0, 100))}`);
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity')
    throw new Refusal(415, `Content-Encoding: expected none, found ${JSON.stringify(encoding.slice(0, 100))}`);
  if (Number(headers['content-length'] ?? 0) > maxBody)
    throw new Refusal(413, `body: expected at most ${maxBody} bytes`);
}

function sendPage(response: ServerResponse, type: string, text: string): void {
  response.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) }).end(text);
}

function refuse(request: IncomingMessage, response: ServerResponse, { status, message }: Refusal): void {
  // An answer that has begun can only be broken off, which every client notices.
  if (response.headersSent || response.destroyed) return void response.destroy();
  if (!request.complete) {
    response.shouldKeepAlive = false;
    const timer = setTimeout(() => request.destroy(), REST_MILLISECONDS);
    request.once('close', () => clearTimeout(timer)).resume();
  }
  if (status === 405) response.setHeader('Allow', 'POST');
  if (status === 503) response.setHeader('Retry-After', 1);
  const text = JSON.stringify({ error: message });
  response
    .writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) })
    .end(text);
}
