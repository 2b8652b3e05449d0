/**
 * One request and what became of it. Nothing is repeated here (calls.ts), no redirect is followed, certificates are always
 * checked, and the deadline covers all of the answer.
 *
 * node:http rather than fetch: servers hold a request for up to ten minutes, fetch gives up after five; and only here is it
 * known whether a request that failed had left this machine.
 */
import http from 'node:http';
import https from 'node:https';
import { messageOf } from '../../base/errors.ts';

export interface Exchange {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Behind the base URL, e.g. /api/v1/optim_step. */
  readonly path: string;
  /** JSON, or a message of Protocol Buffers. */
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Deadline of the whole exchange, in seconds. */
  readonly seconds: number;
  /**
   * On a connection of its own: an idle one may be closed by the server just as a request is sent on it, and then nobody
   * knows whether the request arrived.
   */
  readonly fresh?: boolean;
}

export type Outcome =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: http.IncomingHttpHeaders;
      readonly body: Buffer;
    }
  /** Nothing was sent. */
  | { readonly kind: 'unsent'; readonly reason: string }
  /** It was sent, perhaps carried out, and there is no whole answer. */
  | { readonly kind: 'lost'; readonly reason: string };

export const JSON_TYPE = 'application/json';
export const PROTOBUF_TYPE = 'application/x-protobuf';

/** Larger answers are cut off as lost: a thousand times what one request of 4 MB can ask for is no answer. */
const LONGEST_ANSWER = 256e6;

export class Http {
  /** Without user, password and query. */
  readonly url: string;
  readonly #key: string | undefined;
  readonly #agent: http.Agent;

  /** @param url of `serverUrl` */
  constructor(url: string, key: string | undefined) {
    this.url = url;
    this.#key = key;
    // Idle connections go before the server's usual five seconds are over.
    const options = { keepAlive: true, timeout: 4000 };
    this.#agent = url.startsWith('https:') ? new https.Agent(options) : new http.Agent(options);
  }

  /** Rejects with the signal's reason when it is aborted, and never else. */
  exchange(request: Exchange, signal?: AbortSignal): Promise<Outcome> {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    if (signal?.aborted) return Promise.reject(signal.reason);
    const body = request.body === undefined ? undefined : Buffer.from(request.body);
    const outgoing = (this.url.startsWith('https:') ? https : http).request(this.url + request.path, {
      method: request.method,
      agent: request.fresh ? false : this.#agent,
      rejectUnauthorized: true,
      headers: {
        Accept: JSON_TYPE,
        ...(this.#key === undefined ? {} : { 'X-API-Key': this.#key }),
        ...(body && {
          'Content-Type': typeof request.body === 'string' ? JSON_TYPE : PROTOBUF_TYPE,
          'Content-Length': body.length,
        }),
        ...request.headers,
      },
    });
    let connected = false;
    let settled = false;
    const settle = (outcome: Outcome) => {
      if (settled) return;
      settled = true;
      clearTimeout(deadline);
      signal?.removeEventListener('abort', abort);
      resolve(outcome);
      if (outcome.kind !== 'answer') outgoing.destroy();
    };
    const fail = (reason: string) => settle({ kind: connected ? 'lost' : 'unsent', reason });
    const abort = () => {
      reject(signal!.reason);
      fail('aborted');
    };
    const deadline = setTimeout(() => fail(`no answer within ${request.seconds} s`), 1000 * request.seconds);
    signal?.addEventListener('abort', abort, { once: true });

    outgoing.on('socket', (socket) => {
      // A socket that is used again is connected already. With TLS nothing is sent before the certificate was accepted.
      if (outgoing.reusedSocket) connected = true;
      else
        socket.once(this.url.startsWith('https:') ? 'secureConnect' : 'connect', () => {
          connected = true;
        });
    });
    outgoing.on('error', (error) => fail(describe(error)));
    outgoing.on('response', (response) => {
      const parts: Buffer[] = [];
      let length = 0;
      response.on('data', (part: Buffer) => {
        parts.push(part);
        length += part.length;
        if (length > LONGEST_ANSWER) fail(`an answer of more than ${LONGEST_ANSWER / 1e6} MB`);
      });
      response.on('error', (error) => fail(`the answer broke off (${describe(error)})`));
      response.on('end', () => {
        if (!response.complete) fail('the answer broke off');
        else
          settle({
            kind: 'answer',
            status: response.statusCode!,
            headers: response.headers,
            body: Buffer.concat(parts),
          });
      });
    });
    outgoing.end(body);
    return promise;
  }

  /** A text without the key, should a server repeat it. */
  clean(text: string): string {
    return this.#key === undefined ? text : text.replaceAll(this.#key, '…');
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }
}

/** Both addresses of "localhost" may have refused; the message is empty then, and the code is not. */
function describe(error: Error): string {
  const message = messageOf(error);
  return message === '' && 'code' in error ? String(error.code) : message;
}
