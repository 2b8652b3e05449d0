/** An agent as a server, by protocol: what all of them share is who may ask, what a body may be, and an orderly end. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../base/errors.ts';
import { refusedSource } from '../base/http/access.ts';
import { ByteBudget, checkJsonHeaders, parseJsonBody, Refusal, readBody } from '../base/http/body.ts';
import { type ListeningServer, listen } from '../base/http/listen.ts';
import { PROMETHEUS_TYPE } from '../base/http/prometheus.ts';
import { sendPage, sendRefusal } from '../base/http/reply.ts';
import { ApiError, errorBody, errorHeaders } from './api-error.ts';
import type { Desk } from './desk.ts';
import { ServingMetrics } from './metrics.ts';

export interface ServingOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Names beside its address by which the server may be asked. */
  readonly names: readonly string[];
  /** A client has to send one of these as bearer token; none: everybody may ask. */
  readonly keys: readonly string[];
  /** Told of every request that has ended. Texts of questions and answers are never in it. */
  readonly onRequest?: ((line: RequestLine) => void) | undefined;
}

export interface RequestLine {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly seconds: number;
  /** What went wrong inside, where the client is told less. */
  readonly failure?: string;
}

export const defaultServingOptions: ServingOptions = { host: '127.0.0.1', port: 8080, names: [], keys: [] };

const MAX_BODY = 2 ** 20;
/** Bodies of all requests under way together. */
const BODY_BYTES = 32 * 2 ** 20;
const MAX_CONNECTIONS = 1024;
/** A client that takes the end of its answer no faster is cut off, in milliseconds. */
const SLOW_READER = 30_000;

/** What a protocol gets of a request. */
export interface Served {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly desk: Desk;
  readonly metrics: ServingMetrics;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
  /** Reads the body as JSON, within limits. @throws Refusal */
  json(): Promise<unknown>;
  /** Notes what went wrong inside. */
  note(failure: string): void;
}

/** Answers requests under its paths. `undefined`: there is no such page. Rejects with a Refusal, whose reason is answered. */
export type Protocol = (path: string, served: Served) => Promise<void> | undefined;

/** A client left before its answer ended. */
class ClientLeft extends Refusal {
  constructor() {
    super(499, 'the client left');
  }
}

/** @throws UserError when the address cannot be taken */
export function serveAgent(desk: Desk, protocol: Protocol, options: ServingOptions): Promise<ListeningServer> {
  const metrics = new ServingMetrics();
  const bodies = new ByteBudget(BODY_BYTES);
  return listen({ ...options, maxConnections: MAX_CONNECTIONS }, (address) => async (request, response) => {
    const began = performance.now();
    const left = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) left.abort(new ClientLeft());
    });
    const share = bodies.share();
    const path = (request.url ?? '/').split('?', 1)[0]!;
    let failure: string | undefined;
    let status = 200;
    try {
      const { host, names, keys } = options;
      const reason = refusedSource(request.headers, { host, names, address });
      if (reason !== undefined) throw new Refusal(403, reason);
      if (path !== '/healthz') checkKey(request, keys);
      const served: Served = {
        request,
        response,
        desk,
        metrics,
        signal: left.signal,
        json: () => readJson(request, response, share.take),
        note: (text) => {
          failure = text;
        },
      };
      const answering = commonPage(path, served) ?? protocol(path, served);
      if (answering === undefined) throw new ApiError(404, `there is no ${path.slice(0, 100)}`);
      await answering;
      status = response.headersSent ? response.statusCode : 200;
    } catch (error) {
      const refusal = left.signal.aborted ? new ClientLeft() : asRefusal(error);
      if (!(error instanceof Refusal) && !left.signal.aborted) failure = messageOf(error);
      status = refusal.status;
      sendRefusal(request, response, status, errorBody(refusal), errorHeaders(refusal));
    } finally {
      share.giveBack();
      cutSlowReader(response);
      metrics.request(status);
      const seconds = (performance.now() - began) / 1000;
      const method = request.method ?? '';
      options.onRequest?.({ method, path, status, seconds, ...(failure !== undefined && { failure }) });
    }
  });
}

function asRefusal(error: unknown): Refusal {
  return error instanceof Refusal ? error : new ApiError(500, 'the server failed');
}

/** @throws ApiError 401 */
function checkKey({ headers }: IncomingMessage, keys: readonly string[]): void {
  if (keys.length === 0) return;
  const [, given = ''] = /^Bearer\s+(.+)$/i.exec(headers.authorization ?? '') ?? [];
  // Hashes are of one length, and take the same time to compare whatever was given.
  const hash = (text: string) => createHash('sha256').update(text).digest();
  const found = keys.filter((key) => timingSafeEqual(hash(key), hash(given)));
  if (found.length === 0)
    throw new ApiError(401, 'Authorization: expected "Bearer KEY" with a key of this server', {
      code: 'invalid_api_key',
    });
}

async function readJson(
  request: IncomingMessage,
  response: ServerResponse,
  take: (bytes: number) => boolean,
): Promise<unknown> {
  checkJsonHeaders(request, MAX_BODY);
  if (request.headers.expect !== undefined) response.writeContinue();
  return parseJsonBody(await readBody(request, MAX_BODY, take));
}

/** Pages of every protocol. */
function commonPage(path: string, { request, response, desk, metrics }: Served): Promise<void> | undefined {
  if (path !== '/healthz' && path !== '/metrics') return undefined;
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new ApiError(405, `${path}: expected GET`);
  const { policy, retriever, template, limits } = desk.agent.about;
  if (path === '/metrics') sendPage(response, PROMETHEUS_TYPE, metrics.text(desk));
  else
    sendPage(
      response,
      'application/json',
      JSON.stringify({ status: 'ok', policy, retriever, template, limits, load: desk.load }),
    );
  return Promise.resolve();
}

function cutSlowReader(response: ServerResponse): void {
  if (response.destroyed || response.writableFinished) return;
  const timer = setTimeout(() => response.destroy(), SLOW_READER);
  response.once('close', () => clearTimeout(timer));
}
