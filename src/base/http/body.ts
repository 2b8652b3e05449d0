/** The body of a request, within limits: of its own size, and of what all requests under way hold together. */
import type { IncomingMessage } from 'node:http';
import { messageOf } from '../errors.ts';
import { beyondBounds } from '../json-bounds.ts';
import { decodeText, JSON_DEPTH, parseJson } from '../text.ts';

/** A request that is not answered with what it asks for. */
export class Refusal extends Error {
  readonly status: number;
  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

/** Status of a request whose client left before its answer ended; nobody gets it, it is counted. */
export const CLIENT_LEFT = 499;

/** Bytes that all requests together may hold. */
export class ByteBudget {
  readonly #bytes: number;
  #held = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** A share that grows with what is taken; to be given back. */
  share(): { take(bytes: number): boolean; giveBack(): void } {
    let own = 0;
    return {
      take: (bytes) => {
        if (this.#held + bytes > this.#bytes) return false;
        own += bytes;
        this.#held += bytes;
        return true;
      },
      giveBack: () => {
        this.#held -= own;
        own = 0;
      },
    };
  }
}

/**
 * Reads a body to its end. Bytes count from when they arrive, so that a client that only announces many holds none.
 * @param take asked before bytes are kept
 * @throws Refusal 413 for a larger one, 503 when `take` refuses; the stream's error when the client leaves
 */
export async function readBody(
  request: IncomingMessage,
  maxBody: number,
  take: (bytes: number) => boolean,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  // What is not read is passed over by whoever refuses the request.
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBody) throw new Refusal(413, `body: expected at most ${maxBody} bytes`);
    if (!take(part.length)) throw new Refusal(503, 'too many requests at once; ask again');
    parts.push(part);
  }
  return Buffer.concat(parts, size);
}

/** Far more than a request of 8,192 queries needs. */
const BOUNDS = { depth: JSON_DEPTH, values: 100_000 };

/** @throws Refusal 400 for anything but UTF-8 and JSON of ordinary size; a byte order mark at the start is dropped */
export function parseJsonBody(body: Buffer): unknown {
  try {
    const text = decodeText(body, 'body');
    const reason = beyondBounds(text, BOUNDS);
    if (reason !== undefined) throw new Refusal(400, `body: ${reason}`);
    return parseJson(text, 'body');
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, messageOf(error));
  }
}

/** @throws Refusal 415 unless the body is said to be plain JSON, which a page of elsewhere cannot say unasked; 413 when it is said to be too large */
export function checkJsonHeaders({ headers }: IncomingMessage, maxBody: number): void {
  const type = headers['content-type'] ?? '';
  if (!/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type))
    throw new Refusal(415, `Content-Type: expected application/json, found ${JSON.stringify(type.slice(0, 100))}`);
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity')
    throw new Refusal(415, `Content-Encoding: expected none, found ${JSON.stringify(encoding.slice(0, 100))}`);
  if (Number(headers['content-length'] ?? 0) > maxBody)
    throw new Refusal(413, `body: expected at most ${maxBody} bytes`);
}
