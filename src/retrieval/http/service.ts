/** What the retrieval server does with one request: routes, limits, answers, and a status and a reason for all that is refused. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../base/errors.ts';
import { refusedSource } from '../../base/http/access.ts';
import { ByteBudget, CLIENT_LEFT, checkJsonHeaders, parseJsonBody, Refusal, readBody } from '../../base/http/body.ts';
import { sendPage, sendRefusal } from '../../base/http/reply.ts';
import type { Retriever } from '../retriever.ts';
import { answer, PassageSizes } from './answer.ts';
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
const PACE = { making: 8 * 2 ** 20, unsent: 64 * 2 ** 20, partSeconds: 10 };

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

  /** @param address that was taken */
  constructor(retriever: Retriever, options: ServiceOptions, address: string) {
    this.#retriever = retriever;
    this.#options = options;
    this.#address = address;
  }

  /** Answers a request; never rejects. */
  async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
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
      sendRefusal(request, response, refusal.status, { error: refusal.message }, headersOf(refusal.status));
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
    checkJsonHeaders(request, maxBody);
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

function headersOf(status: number): Record<string, string> {
  return { ...(status === 405 && { Allow: 'POST' }), ...(status === 503 && { 'Retry-After': '1' }) };
}
