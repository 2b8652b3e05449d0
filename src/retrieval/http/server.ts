/**
 * Serves a retriever over HTTP in the format that existing trainers speak (wire.ts): POST /retrieve, GET /healthz, GET /metrics.
 * Whatever is sent, it answers with a status and a JSON reason and goes on serving.
 */
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { hasCode, messageOf, UserError } from '../../base/errors.ts';
import { decodeText, parseJson } from '../../base/text.ts';
import type { Retriever } from '../retriever.ts';
import { ServerMetrics } from './metrics.ts';
import { parseRequest, type RetrieveLimits, responseText } from './wire.ts';

export interface ServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly limits: RetrieveLimits;
  /** Bytes of a request's body. */
  readonly maxBody: number;
  /** Deadline of one request's searches, in seconds. */
  readonly searchSeconds: number;
}

/** Vetted limits; Search-R1's server answers three passages by default. */
export const defaultServerOptions: ServerOptions = {
  host: '127.0.0.1',
  port: 8000,
  limits: { defaultPassages: 3, maxPassages: 1000, maxQueries: 8192, maxQueryLength: 10_000 },
  maxBody: 16 * 2 ** 20,
  searchSeconds: 60,
};

export interface RetrieverServer {
  /** With the port that was taken. */
  readonly url: string;
  /** Takes no more requests, lets those under way finish (for at most `seconds`), and ends. */
  close(seconds?: number): Promise<void>;
}

/** A client that sends its request slower than this is cut off, in milliseconds. */
const REQUEST_TIMEOUT = 30_000;
const CLOSING_SECONDS = 10;

/** @throws UserError when the address cannot be taken */
export async function serveRetriever(retriever: Retriever, options: ServerOptions): Promise<RetrieverServer> {
  const metrics = new ServerMetrics();
  const server = createAdaptorServer({ fetch: application(retriever, metrics, options).fetch });
  // Of node:http; the adaptor's type covers HTTP/2 as well.
  Object.assign(server, { requestTimeout: REQUEST_TIMEOUT, headersTimeout: REQUEST_TIMEOUT });
  await new Promise<void>((listening, failed) => {
    server.once('error', (error) => failed(addressError(error, options)));
    server.listen(options.port, options.host, listening);
  });
  const { address, port, family } = server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `http://${host}:${port}`,
    close: (seconds = CLOSING_SECONDS) =>
      new Promise((closed) => {
        const closable = server as unknown as { closeIdleConnections(): void; closeAllConnections(): void };
        const giveUp = setTimeout(() => closable.closeAllConnections(), seconds * 1000);
        server.close(() => {
          clearTimeout(giveUp);
          closed();
        });
        closable.closeIdleConnections();
      }),
  };
}

function application(retriever: Retriever, metrics: ServerMetrics, { limits, maxBody, searchSeconds }: ServerOptions) {
  const refuse = (context: Context, status: 400 | 404 | 405 | 413 | 415 | 500 | 503, reason: string) => {
    metrics.count(status, 0, 0);
    return context.json({ error: reason }, status);
  };
  const json = (context: Context, text: string) => context.body(text, 200, { 'Content-Type': 'application/json' });
  const app = new Hono();

  app.post(
    '/retrieve',
    bodyLimit({ maxSize: maxBody, onError: (context) => refuse(context, 413, `expected at most ${maxBody} bytes`) }),
    async (context) => {
      const start = performance.now();
      if (!/^application\/json\b/i.test(context.req.header('Content-Type') ?? 'application/json'))
        return refuse(context, 415, 'Content-Type: expected application/json');
      let body: unknown;
      try {
        body = parseJson(decodeText(new Uint8Array(await context.req.arrayBuffer()), 'body'), 'body');
      } catch (error) {
        return refuse(context, 400, messageOf(error));
      }
      const request = parseRequest(body, limits);
      if ('reason' in request) return refuse(context, 400, request.reason);
      metrics.inFlight++;
      try {
        const patience = AbortSignal.any([context.req.raw.signal, AbortSignal.timeout(searchSeconds * 1000)]);
        const results = await retriever.search(request.queries, request.topk, patience);
        const text = responseText(results, request.scores);
        metrics.count(200, request.queries.length, (performance.now() - start) / 1000);
        return json(context, text);
      } catch (error) {
        const late = error instanceof Error && error.name === 'TimeoutError';
        return refuse(context, late ? 503 : 500, late ? `no result within ${searchSeconds} s` : messageOf(error));
      } finally {
        metrics.inFlight--;
      }
    },
  );
  app.get('/healthz', (context) => {
    metrics.count(200, 0, 0);
    return context.json({ status: 'ok', retriever: retriever.info });
  });
  app.get('/metrics', (context) => {
    const gauges = { passages: retriever.info.passages, resident_bytes: process.memoryUsage.rss() };
    const text = metrics.text(gauges, retriever.statistics?.());
    return context.body(text, 200, { 'Content-Type': 'text/plain; version=0.0.4' });
  });
  app.all('/retrieve', (context) => refuse(context, 405, 'expected POST'));
  app.notFound((context) => refuse(context, 404, 'expected POST /retrieve, GET /healthz or GET /metrics'));
  app.onError((error, context) => refuse(context, 500, messageOf(error)));
  return app;
}

function addressError(error: unknown, { host, port }: ServerOptions): unknown {
  if (hasCode(error, 'EADDRINUSE'))
    return new UserError(`${host}:${port}: another program listens there`, {
      hint: 'Choose another --port; 0 takes a free one.',
    });
  if (hasCode(error, 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND'))
    return new UserError(`${host}:${port}: cannot listen there (${messageOf(error)})`, {
      hint: 'Choose another --host or --port.',
    });
  return error;
}
