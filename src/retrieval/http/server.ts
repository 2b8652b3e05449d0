/**
 * Serves a retriever over HTTP in the format that existing trainers speak (wire.ts): POST /retrieve, GET /healthz, GET /metrics.
 * Whatever is sent, it answers with a status and a JSON reason, within a bounded memory, and goes on serving: every number
 * that a client chooses has its limit here. On node:http itself, since most of them concern connections, not requests.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { hasCode, messageOf, UserError } from '../../base/errors.ts';
import type { Retriever } from '../retriever.ts';
import { Service, type ServiceOptions } from './service.ts';
import { defaultLimits } from './wire.ts';

export interface ServerOptions extends ServiceOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** Connections at a time; further ones get 503 and are closed. */
  readonly maxConnections: number;
}

export const defaultServerOptions: ServerOptions = {
  host: '127.0.0.1',
  port: 8000,
  names: [],
  limits: defaultLimits,
  maxBody: 16 * 2 ** 20,
  maxConnections: 1024,
  maxRequests: 1024,
  searchSeconds: 60,
};

export interface RetrieverServer {
  /** With the port that was taken. */
  readonly url: string;
  /**
   * Takes no more connections, answers what is under way and what still comes in over open ones, and ends, after `seconds`
   * at the latest (default 10).
   */
  close(seconds?: number): Promise<Closed>;
}

/** Requests after the server was asked to end. */
export interface Closed {
  readonly answered: number;
  /** Cut off, or left by their client. */
  readonly unanswered: number;
}

/** For a client to send its headers, and its whole request, in milliseconds; looked at every second. */
const HEADERS_TIMEOUT = 10_000;
const REQUEST_TIMEOUT = 30_000;
const TIMEOUTS_CHECKED = 1000;
/** How long a connection that was refused may take to notice, in milliseconds, and how many such there may be. */
const REFUSED_TIMEOUT = 2000;
const REFUSED_CONNECTIONS = 16_384;
/** Connections that the system keeps until they are accepted. */
const BACKLOG = 4096;
const CLOSING_SECONDS = 10;
/** A client between two requests has this long to send the next one and be told that the connection closes. */
const CLOSING_GRACE = 500;

const BUSY = JSON.stringify({ error: 'too many connections; ask again' });
const BUSY_RESPONSE = `HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: ${BUSY.length}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n${BUSY}`;

/** @throws UserError when the address cannot be taken */
export async function serveRetriever(retriever: Retriever, options: ServerOptions): Promise<RetrieverServer> {
  const server = createServer({
    requestTimeout: REQUEST_TIMEOUT,
    headersTimeout: HEADERS_TIMEOUT,
    connectionsCheckingInterval: TIMEOUTS_CHECKED,
  });
  await new Promise<void>((listening, failed) => {
    server.once('error', (error) => failed(addressError(error, options)));
    server.listen({ port: options.port, host: options.host, backlog: BACKLOG }, listening);
  });
  server.removeAllListeners('error');
  // A connection that the system cannot give (too many open files) is one that was not made.
  server.on('error', () => {});
  const { address, port, family } = server.address() as AddressInfo;
  const service = new Service(retriever, options, address);
  const connections = acceptConnections(server, options.maxConnections);
  const take = (request: IncomingMessage, response: ServerResponse) => {
    const requests = connections.get(request.socket);
    if (requests === undefined) return;
    requests.add(response);
    response.once('close', () => requests.delete(response));
    void service.take(request, response);
  };
  server.on('request', take).on('checkContinue', take);
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: (seconds = CLOSING_SECONDS) => close(server, service, connections, seconds),
  };
}

/** The requests under way over each connection. */
type Connections = ReadonlyMap<Socket, Set<ServerResponse>>;

/** Keeps the list of connections, of `most` at a time; those beyond get an answer and are closed. */
function acceptConnections(server: Server, most: number): Connections {
  const connections = new Map<Socket, Set<ServerResponse>>();
  server.maxConnections = most + REFUSED_CONNECTIONS;
  server.on('connection', (socket: Socket) => {
    if (connections.size < most) {
      connections.set(socket, new Set());
      socket.once('close', () => connections.delete(socket));
      return;
    }
    socket.end(BUSY_RESPONSE);
    const timer = setTimeout(() => socket.destroy(), REFUSED_TIMEOUT);
    socket.once('close', () => clearTimeout(timer));
    // Room for others: connections that wait for their client's next request.
    server.closeIdleConnections();
  });
  return connections;
}

async function close(server: Server, service: Service, connections: Connections, seconds: number): Promise<Closed> {
  service.beginClosing();
  // In the phase of the event loop that follows the reading of what has arrived: who sent a request is heard.
  const closeIdle = () =>
    setImmediate().then(() => {
      for (const [socket, requests] of connections) if (requests.size === 0) socket.destroy();
    });
  let idle: NodeJS.Timeout | undefined;
  const timers = [
    setTimeout(() => {
      closeIdle();
      idle = setInterval(closeIdle, CLOSING_GRACE / 5);
    }, CLOSING_GRACE),
    setTimeout(() => server.closeAllConnections(), seconds * 1000),
  ];
  // Not http's own close(), which closes idle connections at once, some with a request on its way.
  await new Promise<void>((closed) => NetServer.prototype.close.call(server, () => closed()));
  for (const timer of timers) clearTimeout(timer);
  clearInterval(idle);
  // Ends http's own timer for slow clients.
  server.close();
  return service.sinceClosing();
}

function addressError(error: unknown, { host, port }: ServerOptions): unknown {
  if (hasCode(error, 'EADDRINUSE'))
    return new UserError(`${host}:${port}: another program listens there`, {
      hint: 'Choose another --port; 0 takes a free one.',
    });
  if (hasCode(error, 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN'))
    return new UserError(`${host}:${port}: cannot listen there (${messageOf(error)})`, {
      hint: 'Choose another --host or --port.',
    });
  return error;
}
