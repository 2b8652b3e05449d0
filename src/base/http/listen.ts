/**
 * A listening server of our own, for whatever is served: connections within limits, slow clients cut off, and an orderly end.
 * On node:http itself, since most of what matters here concerns connections, not requests.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { hasCode, messageOf, UserError } from '../errors.ts';

export interface ListenOptions {
  /** An address or a name of this machine. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Connections at a time; further ones get 503 and are closed. */
  readonly maxConnections: number;
}

/** Answers a request; never rejects. */
export type Take = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export interface ListeningServer {
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
/** Requests that a client may send over one connection without waiting for their answers; with more it is cut off. */
const UNANSWERED = 64;
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

/**
 * @param taking makes what answers requests, from the address that was taken
 * @throws UserError when the address cannot be taken
 */
export async function listen(options: ListenOptions, taking: (address: string) => Take): Promise<ListeningServer> {
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
  const connections = acceptConnections(server, options.maxConnections);
  const requests = new Requests(connections, taking(address));
  const take = (request: IncomingMessage, response: ServerResponse) => requests.take(request, response);
  server.on('request', take).on('checkContinue', take);
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: (seconds = CLOSING_SECONDS) => close(server, requests, connections, seconds),
  };
}

/** A connection's requests under way, the oldest first: answered one after the other, as they have to be sent. */
type Connections = ReadonlyMap<Socket, ServerResponse[]>;

/** Passes requests on, and knows how they end. */
class Requests {
  readonly #connections: Connections;
  readonly #take: Take;
  readonly #waiting = new WeakMap<ServerResponse, () => void>();
  #underWay = 0;
  #closing: { answered: number; unanswered: number } | undefined;

  constructor(connections: Connections, take: Take) {
    this.#connections = connections;
    this.#take = take;
  }

  take(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const open = this.#connections.get(socket);
    if (open === undefined) return;
    if (open.length === UNANSWERED) return void socket.destroy();
    // Heard of where the body is read and where the answer is sent.
    request.on('error', () => {});
    response.on('error', () => {});
    open.push(response);
    this.#underWay += 1;
    response.once('close', () => {
      open.splice(open.indexOf(response), 1);
      this.#underWay -= 1;
      if (this.#closing !== undefined) this.#closing[response.writableFinished ? 'answered' : 'unanswered'] += 1;
      // Others have their turn in between.
      const next = open[0];
      if (next !== undefined) setImmediate().then(() => this.#waiting.get(next)?.());
    });
    const begin = () => {
      this.#waiting.delete(response);
      if (this.#closing !== undefined) response.shouldKeepAlive = false;
      void this.#take(request, response);
    };
    if (open.length === 1) begin();
    else this.#waiting.set(response, begin);
  }

  /** From now on each answer is the last one of its connection. */
  beginClosing(): void {
    this.#closing = { answered: 0, unanswered: 0 };
  }

  /** Requests since then; what is still under way counts as unanswered. */
  sinceClosing(): Closed {
    const { answered, unanswered } = this.#closing ?? { answered: 0, unanswered: 0 };
    return { answered, unanswered: unanswered + this.#underWay };
  }
}

/** Keeps the list of connections, of `most` at a time; those beyond get an answer and are closed. */
function acceptConnections(server: Server, most: number): Connections {
  const connections = new Map<Socket, ServerResponse[]>();
  server.maxConnections = most + REFUSED_CONNECTIONS;
  server.on('connection', (socket: Socket) => {
    if (connections.size < most) {
      connections.set(socket, []);
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

async function close(server: Server, requests: Requests, connections: Connections, seconds: number): Promise<Closed> {
  requests.beginClosing();
  // In the phase of the event loop that follows the reading of what has arrived: who sent a request is heard.
  const closeIdle = () =>
    setImmediate().then(() => {
      for (const [socket, open] of connections) if (open.length === 0) socket.destroy();
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
  return requests.sinceClosing();
}

function addressError(error: unknown, { host, port }: ListenOptions): unknown {
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
