/**
 * A connection to OpenSearch by its official client, which is not installed with this package: whoever wants it runs
 * `npm install @opensearch-project/opensearch`. User and password come from the environment: OPENSEARCH_USERNAME and
 * OPENSEARCH_PASSWORD.
 */
import { Agent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import type { Client } from '@opensearch-project/opensearch';
import type { z } from 'zod';
import { hasCode, messageOf, UserError } from '../../base/errors.ts';
import { Passing, type Patience, patiently } from '../../base/retry.ts';

/** The longest wait for one answer, in seconds. */
const SECONDS = 60;
/** With servers that are busy. */
export const busyPatience: Patience = { attempts: 6, firstWait: 0.3, longestWait: 10 };
/** What got no answer at all is asked less often. */
const UNANSWERED_ATTEMPTS = 3;
const BUSY = [429, 502, 503, 504];

/** A request under way. */
type Request = PromiseLike<{ readonly body: unknown }>;

export class Connection {
  readonly url: string;
  readonly #client: Client;
  readonly #agent: Agent;

  private constructor(url: string, client: Client, agent: Agent) {
    this.url = url;
    this.#client = client;
    this.#agent = agent;
  }

  /**
   * @param url of one node, http://HOST:PORT; nothing is sent yet
   * @throws UserError for another address, one with a password in it, and when the client is not installed
   */
  static async open(url: string, environment = process.env): Promise<Connection> {
    const hint = { hint: 'Expected http://HOST:PORT, e.g. http://127.0.0.1:9200' };
    if (!/^https?:\/\//.test(url) || !URL.canParse(url))
      throw new UserError(`${url}: not the address of a server`, hint);
    const { username: inUrl, origin, pathname } = new URL(url);
    if (inUrl !== '')
      throw new UserError(`${origin}: an address must not hold a password`, {
        hint: 'Put them into the environment: OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD.',
      });
    const { OPENSEARCH_USERNAME: username, OPENSEARCH_PASSWORD: password } = environment;
    const node = origin + pathname.replace(/\/+$/, '');
    const { Client: Class } = await loadClient();
    const agent = node.startsWith('https:') ? new SecureAgent({ keepAlive: true }) : new Agent({ keepAlive: true });
    const client = new Class({
      node,
      agent: () => agent,
      maxRetries: 0,
      requestTimeout: 1000 * SECONDS,
      ...(username && password ? { auth: { username, password } } : {}),
    });
    return new Connection(node, client, agent);
  }

  /**
   * Sends a request and reads its answer; asks again, after a growing pause, while the servers say that they are busy.
   * @throws UserError naming the address: no answer, a refusal, an answer of another shape
   */
  async ask<T>(schema: z.ZodType<T>, send: (client: Client) => Request, signal?: AbortSignal): Promise<T> {
    const attempt = async (failures: number) => {
      const body = await abortable(send(this.#client), signal).catch((error: unknown) => {
        const status = statusOf(error);
        const isPassing = status === undefined ? failures + 1 < UNANSWERED_ATTEMPTS : BUSY.includes(status);
        throw isPassing ? new Passing(messageOf(error), { cause: error }) : this.#failure(error);
      });
      const parsed = schema.safeParse(body);
      if (parsed.success) return parsed.data;
      const issue = parsed.error.issues[0]!;
      throw new UserError(`${this.url}: an answer of another shape (${issue.path.join('.')}: ${issue.message})`, {
        hint: 'Is this OpenSearch 2 or 3?',
      });
    };
    return patiently(busyPatience, attempt, signal).catch((error: unknown) => {
      throw error instanceof Passing ? this.#failure(error.cause) : error;
    });
  }

  /** Ends what is under way: the client alone would wait for it. */
  async close(): Promise<void> {
    this.#agent.destroy();
    await this.#client.close();
  }

  #failure(error: unknown): UserError {
    const status = statusOf(error);
    const hint =
      status === undefined
        ? 'Is the server running? docs/opensearch.md has the commands that start one.'
        : status === 401 || status === 403
          ? 'Put user and password into the environment: OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD.'
          : "Look at the server's log.";
    return new UserError(
      `${this.url}: ${status === undefined ? 'no answer' : `refused with status ${status}`} (${reasonOf(error)})`,
      {
        hint,
        cause: error,
      },
    );
  }
}

/**
 * The body of an answer, or the signal's reason at once. The request itself is left to end on its own: aborting it, the
 * client's 3.9.0 throws an error that nothing can catch.
 */
function abortable(request: Request, signal?: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const settle = () => signal?.removeEventListener('abort', abort);
    request.then(
      ({ body }) => {
        settle();
        resolve(body);
      },
      (error: unknown) => {
        settle();
        reject(error);
      },
    );
  });
}

function statusOf(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown }).statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** What the server says, which the client's own message leaves out. */
function reasonOf(error: unknown): string {
  const reason = (error as { body?: { error?: { reason?: unknown } } }).body?.error?.reason;
  return typeof reason === 'string' ? reason : messageOf(error);
}

async function loadClient(): Promise<typeof import('@opensearch-project/opensearch')> {
  try {
    return await import('@opensearch-project/opensearch');
  } catch (error) {
    if (!hasCode(error, 'ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND')) throw error;
    throw new UserError("OpenSearch's client is not installed", {
      hint: 'Install it beside search-e1: npm install @opensearch-project/opensearch',
      cause: error,
    });
  }
}
