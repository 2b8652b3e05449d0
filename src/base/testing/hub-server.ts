/** A loopback server with the Hub's layout, for tests: paths-info, resolve with ranges, an LFS redirect, and faults by script. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeFile {
  readonly content: Uint8Array;
  readonly lfs: boolean;
}

/** What becomes of one download of bytes; each is used up once, in order. */
export type Fault = { readonly cutAfter: number } | { readonly status: number } | { readonly flip: true };

export interface FakeHub {
  readonly url: string;
  /** Downloads of bytes, with the range asked for. */
  readonly requests: string[];
  readonly faults: Fault[];
  close(): Promise<void>;
}

/** What every revision of a model stands for. */
export const COMMIT = '0123456789abcdef0123456789abcdef01234567';

/** @param files - by "datasets/owner/name/path" or "owner/name/path" */
export async function startFakeHub(files: ReadonlyMap<string, FakeFile>): Promise<FakeHub> {
  const requests: string[] = [];
  const faults: Fault[] = [];
  const server = createServer((request, response) => void answer(request, response));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = decodeURIComponent(new URL(request.url!, 'http://x').pathname);
    const info = url.match(/^\/api\/(datasets|models)\/([^/]+\/[^/]+)\/paths-info\/[^/]+$/);
    if (info !== null) {
      const { paths } = JSON.parse(await textOf(request)) as { paths: string[] };
      const prefix = `${info[1] === 'datasets' ? 'datasets/' : ''}${info[2]}`;
      if (![...files.keys()].some((name) => name.startsWith(`${prefix}/`))) return refuse(response, 404);
      json(
        response,
        paths.flatMap((path) => describe(path, files.get(`${prefix}/${path}`))),
      );
      return;
    }
    const revision = url.match(/^\/api\/models\/([^/]+\/[^/]+)\/revision\/([^/]+)$/);
    const tree = url.match(/^\/api\/models\/([^/]+\/[^/]+)\/tree\/[^/]+$/);
    if (revision !== null || tree !== null) {
      const prefix = `${(revision ?? tree)![1]}/`;
      const own = [...files].filter(([name]) => name.startsWith(prefix));
      if (own.length === 0 || revision?.[2] === 'none') return refuse(response, 404);
      const entries = own.flatMap(([name, file]) => describe(name.slice(prefix.length), file));
      json(response, revision === null ? entries : { id: prefix.slice(0, -1), sha: COMMIT });
      return;
    }
    const resolve = url.match(/^\/(.+)\/resolve\/[^/]+\/(.+)$/);
    const file = resolve === null ? undefined : files.get(`${resolve[1]}/${resolve[2]}`);
    if (url.startsWith('/lfs/')) return bytes(request, response, files.get(url.slice('/lfs/'.length))!.content);
    if (file === undefined) return refuse(response, 404);
    if (!file.lfs) return bytes(request, response, file.content);
    response.writeHead(302, { Location: `/lfs/${resolve![1]}/${resolve![2]}` }).end();
  }

  function bytes(request: IncomingMessage, response: ServerResponse, content: Uint8Array): void {
    const range = request.headers.range ?? '';
    const [, from, to] = range.match(/^bytes=(\d+)-(\d*)$/) ?? [];
    const probe = to === '0';
    const [start, end] = [Number(from ?? 0), to === undefined || to === '' ? content.length : Number(to) + 1];
    const fault = probe ? undefined : faults.shift();
    if (!probe) requests.push(range);
    if (fault !== undefined && 'status' in fault) {
      refuse(response, fault.status);
      return;
    }
    const part = Buffer.from(content.subarray(start, end));
    if (fault !== undefined && 'flip' in fault) part[0]! ^= 1;
    response.writeHead(206, {
      'Content-Length': part.length,
      'Content-Range': `bytes ${start}-${end - 1}/${content.length}`,
      ETag: `"${createHash('sha256').update(content).digest('hex')}"`,
    });
    if (fault !== undefined && 'cutAfter' in fault)
      response.write(part.subarray(0, fault.cutAfter), () => response.destroy());
    else response.end(part);
  }

  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    faults,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

function describe(path: string, file: FakeFile | undefined): object[] {
  if (file === undefined) return [];
  const { content, lfs } = file;
  const oid = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
  const sha256 = createHash('sha256').update(content).digest('hex');
  const pointer = { oid: sha256, size: content.length, pointerSize: 134 };
  return [
    { type: 'file', path, size: content.length, oid: lfs ? 'f'.repeat(40) : oid, ...(lfs ? { lfs: pointer } : {}) },
  ];
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += String(part);
  return text;
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number): void {
  response
    .writeHead(status, { 'Content-Type': 'application/json', 'X-Error-Code': 'Refused' })
    .end('{"error": "refused"}');
}
