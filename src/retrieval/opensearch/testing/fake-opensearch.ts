/**
 * A small OpenSearch on loopback for tests: it keeps documents, ranks them by our own BM25, refuses every request that the
 * real one would not understand, and can be told to fail.
 */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { Bm25Index } from '../../bm25.ts';

interface Document {
  readonly position: number;
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly contents: string;
}

interface FakeIndex {
  readonly similarity: { readonly k1: number; readonly b: number };
  readonly documents: Map<string, Document>;
  meta: unknown;
  refreshed: boolean;
}

/** What may go wrong, decided for each request (`path` as in "POST /_bulk") by its number among those of that path, from 1. */
export type Fault = (path: string, call: number) => undefined | 'busy' | 'hang' | 'cut' | { items: number } | object;

export interface FakeOpenSearch {
  readonly url: string;
  readonly requests: { readonly path: string; readonly authorization: string | undefined; readonly query: string }[];
  readonly indices: Map<string, FakeIndex>;
  fault: Fault;
  close(): void;
}

export async function startFakeOpenSearch(): Promise<FakeOpenSearch> {
  const requests: FakeOpenSearch['requests'] = [];
  const indices = new Map<string, FakeIndex>();
  const calls = new Map<string, number>();
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    const url = new URL(request.url!, 'http://fake');
    const path = `${request.method} ${url.pathname}`;
    requests.push({ path, authorization: request.headers.authorization, query: url.search });
    const call = (calls.get(path) ?? 0) + 1;
    calls.set(path, call);
    const fault = fake.fault(path, call);
    if (fault === 'hang') return;
    if (fault === 'cut') return response.destroy();
    if (fault === 'busy') return reply(response, 429, { error: { type: 'rejected', reason: 'busy' }, status: 429 });
    if (fault !== undefined && !('items' in fault)) return reply(response, 200, fault);
    try {
      const [status, body] = answer(path, url.searchParams, text, indices, (fault as { items?: number })?.items ?? 0);
      reply(response, status, body);
    } catch (error) {
      reply(response, 400, { error: { type: 'bad_request', reason: String(error) }, status: 400 });
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const fake: FakeOpenSearch = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    indices,
    fault: () => undefined,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return fake;
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

function expect(what: string, found: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(found, expected))
    throw new Error(`${what}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
}

/** @param rejected how many of a request's first items are turned away as too many */
function answer(
  path: string,
  parameters: URLSearchParams,
  text: string,
  indices: Map<string, FakeIndex>,
  rejected: number,
): [number, unknown?] {
  if (path === 'POST /_bulk') return [200, bulk(text, indices, rejected)];
  if (path === 'POST /_msearch') {
    expect('search_type', parameters.get('search_type'), 'dfs_query_then_fetch');
    return [200, msearch(text, indices, rejected)];
  }
  const [, method, name = '', verb = ''] = /^(\w+) \/([^/]+)(?:\/(\w+))?$/.exec(path) ?? [];
  const index = indices.get(name);
  if (method === 'HEAD') return [index === undefined ? 404 : 200];
  if (method === 'PUT' && verb === '') {
    if (index !== undefined) throw new Error(`${name} exists`);
    indices.set(name, create(JSON.parse(text)));
    return [200, { acknowledged: true, index: name }];
  }
  if (index === undefined) return [404, { error: { type: 'index_not_found_exception', reason: name }, status: 404 }];
  if (method === 'POST' && verb === '_mapping') {
    const { _meta, ...rest } = JSON.parse(text);
    expect('mapping', rest, {});
    index.meta = _meta;
    return [200, { acknowledged: true }];
  }
  if (method === 'GET' && verb === '_mapping')
    return [200, { [name]: { mappings: { dynamic: 'strict', ...(index.meta ? { _meta: index.meta } : {}) } } }];
  if (verb === '_refresh') {
    index.refreshed = true;
    return [200, { _shards: { total: 1, successful: 1, failed: 0 } }];
  }
  if (verb === '_count') return [200, { count: index.refreshed ? index.documents.size : 0 }];
  throw new Error(`no such request: ${path}`);
}

function create(body: {
  settings: { index: { similarity: { passages: { k1: number; b: number } } } };
  mappings: object;
}) {
  const stored = { type: 'keyword', index: false, doc_values: false };
  expect('mappings', body.mappings, {
    dynamic: 'strict',
    _source: { excludes: ['contents'] },
    properties: {
      position: { type: 'long' },
      id: stored,
      title: stored,
      text: stored,
      contents: { type: 'text', analyzer: 'english', similarity: 'passages' },
    },
  });
  const { k1, b, ...rest } = body.settings.index.similarity.passages;
  expect('similarity', rest, { type: 'BM25' });
  return { similarity: { k1, b }, documents: new Map(), meta: undefined, refreshed: false };
}

/** Pairs of lines of an NDJSON body. */
function pairs<A, B>(text: string): [A, B][] {
  if (!text.endsWith('\n')) throw new Error('the body must end with a newline');
  const lines = text.slice(0, -1).split('\n');
  return Array.from({ length: lines.length / 2 }, (_, i) => [JSON.parse(lines[2 * i]!), JSON.parse(lines[2 * i + 1]!)]);
}

function bulk(text: string, indices: Map<string, FakeIndex>, rejected: number) {
  const all = pairs<{ index: { _index: string; _id: string } }, Document>(text);
  const items = all.map(([{ index: action }, document], i) => {
    const { position, id, title, text: body, contents, ...rest } = document;
    expect('fields', rest, {});
    expect('contents', contents, `${title}\n${body}`);
    expect('document id', action._id, String(position));
    if (i < rejected) {
      const error = { type: 'rejected_execution_exception', reason: 'queue is full' };
      return { index: { _id: action._id, status: 429, error } };
    }
    if (id === 'poison') {
      const error = { type: 'mapper_parsing_exception', reason: 'failed to parse' };
      return { index: { _id: action._id, status: 400, error } };
    }
    indices.get(action._index)!.documents.set(action._id, document);
    return { index: { _id: action._id, status: 201 } };
  });
  return { took: 1, errors: items.some(({ index }) => 'error' in index), items };
}

interface SearchBody {
  readonly size: number;
  readonly query: { readonly match: { readonly contents: { readonly query: string } } };
}

function msearch(text: string, indices: Map<string, FakeIndex>, rejected: number) {
  const all = pairs<{ index: string }, SearchBody>(text);
  const responses = all.map(([header, body], i) => {
    if (i < rejected) return { status: 429, error: { type: 'rejected_execution_exception', reason: 'queue is full' } };
    const { size, query, ...rest } = body;
    const { query: words } = query.match.contents;
    expect('query', query, { match: { contents: { query: words, operator: 'or' } } });
    const sort = [{ _score: 'desc' }, { position: 'asc' }];
    expect('search', rest, { sort, track_total_hits: false, _source: ['id', 'title', 'text'] });
    const { documents, similarity } = indices.get(header.index)!;
    const passages = [...documents.values()].sort((a, b) => a.position - b.position);
    const hits = new Bm25Index(passages, similarity).searchNow(words, size).map(({ passage, score }) => {
      const { id, title, text: own } = passage;
      return { _index: header.index, _score: score, _source: { id, title, text: own }, sort: [score] };
    });
    return { took: 1, timed_out: false, _shards: { total: 1, successful: 1, failed: 0 }, hits: { hits }, status: 200 };
  });
  return { took: 1, responses };
}
