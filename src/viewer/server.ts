/**
 * The page and its API over HTTP, for this machine alone: on loopback, under a random word in the address without which nothing is
 * served, with headers that let the page load nothing but itself.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf, UserError } from '../base/errors.ts';
import { refusedSource } from '../base/http/access.ts';
import { type ListeningServer, listen } from '../base/http/listen.ts';
import { sendRefusal } from '../base/http/reply.ts';
import type { Ask } from './api.ts';
import { type Page, pageHtml } from './page-files.ts';

export interface ViewerOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly page: Page;
  readonly ask: Ask;
  readonly title: string;
}

const HOST = '127.0.0.1';
const MAX_CONNECTIONS = 64;
const MOST_URL = 16_384;

const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  // The address holds the token.
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

/** A server whose `url` is the page's address, token included. @throws UserError where the port is taken */
export async function serveViewer({ port, page, ask, title }: ViewerOptions): Promise<ListeningServer> {
  const token = randomBytes(18).toString('base64url');
  const files: Readonly<Record<string, readonly [type: string, text: string]>> = {
    '': ['text/html; charset=utf-8', pageHtml(title)],
    'app.js': ['text/javascript; charset=utf-8', page.script],
    'app.css': ['text/css; charset=utf-8', page.style],
  };
  const answer = async (
    path: string,
    query: URLSearchParams,
  ): Promise<readonly [type: string, text: string] | undefined> => {
    if (Object.hasOwn(files, path)) return files[path];
    if (!path.startsWith('api/')) return undefined;
    return ['application/json; charset=utf-8', JSON.stringify(await ask(path.slice('api/'.length), query))];
  };
  const server = await listen(
    { host: HOST, port, maxConnections: MAX_CONNECTIONS },
    (address) => async (request, response) => {
      const refuse = (status: number, error: string) => sendRefusal(request, response, status, { error }, HEADERS);
      const source = refusedSource(request.headers, { host: HOST, address, names: [] });
      if (source !== undefined) return refuse(403, source);
      const asked = pathOf(request, token);
      if (asked === undefined)
        return refuse(404, 'nothing is here: the address has to be the one that search-e1 view printed');
      if (request.method !== 'GET') return refuse(405, 'only GET');
      try {
        const found = await answer(asked.path, asked.query);
        if (found === undefined) return refuse(404, 'there is no such page');
        send(response, found);
      } catch (error) {
        refuse(error instanceof UserError ? 400 : 500, messageOf(error));
      }
    },
  );
  return { ...server, url: `${server.url}/${token}/` };
}

/** What is asked for below the token; undefined where the token is not the one. */
function pathOf({ url = '' }: IncomingMessage, token: string): { path: string; query: URLSearchParams } | undefined {
  if (url.length > MOST_URL || !url.startsWith('/')) return undefined;
  const [place = '', ...query] = url.slice(1).split('?');
  const [word = '', ...path] = place.split('/');
  const [given, wanted] = [Buffer.from(word), Buffer.from(token)];
  if (path.length === 0 || given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
  return { path: path.join('/'), query: new URLSearchParams(query.join('?')) };
}

function send(response: ServerResponse, [type, text]: readonly [type: string, text: string]): void {
  response.writeHead(200, { ...HEADERS, 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) }).end(text);
}
