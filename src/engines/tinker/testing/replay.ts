/** A server that says what a real one has said, to the same requests, in any order; for others it has no answer. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Exchange {
  readonly method: string;
  readonly path: string;
  /** Null where there is none. */
  readonly body: unknown;
  readonly status: number;
  readonly answer: unknown;
}

/** What was exchanged with one server in one run, without keys and times; `baseModel` stands for its name of the model. */
export interface Transcript {
  readonly server: string;
  readonly baseModel: string;
  readonly exchanges: readonly Exchange[];
}

export interface Replay {
  readonly url: string;
  /** Requests that were never recorded, as "METHOD path body". */
  readonly unknown: readonly string[];
  /** What was recorded and is not asked for. */
  readonly left: () => readonly Exchange[];
  close(): Promise<void>;
}

/** Names that the client makes up are others each time; those that a server has given come back from it. */
function requestOf(method: string, path: string, body: unknown): string {
  const text = JSON.stringify(body);
  return `${method} ${path} ${path.endsWith('/save_weights') ? text.replace(/(search-e1-[a-z-]*)[0-9a-f-]{36}/, '$1') : text}`;
}

export async function replay({ exchanges }: Transcript): Promise<Replay> {
  const left = new Set(exchanges);
  const unknown: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request.setEncoding('utf8')) text += part;
    const asked = requestOf(request.method!, request.url!, text === '' ? null : JSON.parse(text));
    const found = [...left].find(({ method, path, body }) => requestOf(method, path, body) === asked);
    if (found === undefined) unknown.push(asked);
    else left.delete(found);
    response
      .writeHead(found?.status ?? 418, { 'Content-Type': 'application/json' })
      .end(JSON.stringify(found?.answer ?? { detail: `this was never asked: ${asked.slice(0, 200)}` }));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    unknown,
    left: () => [...left],
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}
