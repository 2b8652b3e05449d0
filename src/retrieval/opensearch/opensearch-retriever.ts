/**
 * A corpus in OpenSearch as a retriever: `_msearch` with dfs_query_then_fetch, so that document frequencies are those of the
 * whole corpus and not of a shard. Ties by position, as everywhere.
 */
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../base/errors.ts';
import { Passing, patiently } from '../../base/retry.ts';
import type { Hit, Retriever, RetrieverInfo } from '../retriever.ts';
import { requireTrusted, type Trust } from '../trust.ts';
import { busyPatience, Connection } from './connection.ts';
import { MANIFEST_FILE, type OpenSearchManifest, readOpenSearchManifest } from './manifest.ts';

/** Queries of one request. */
const QUERIES_AT_ONCE = 128;

const hitSchema = z.object({
  _score: z.number(),
  _source: z.object({ id: z.string(), title: z.string(), text: z.string() }),
});

const foundSchema = z.object({
  timed_out: z.boolean(),
  _shards: z.object({ failed: z.int(), total: z.int() }),
  hits: z.object({ hits: z.array(hitSchema) }),
});

const failedSchema = z.object({
  status: z.int(),
  error: z.object({ reason: z.string().nullish(), type: z.string() }),
});

const msearchSchema = z.looseObject({ responses: z.array(z.union([failedSchema, foundSchema])) });

/** What `load` wrote into the index. */
const mappingSchema = z.record(
  z.string(),
  z.looseObject({
    mappings: z.looseObject({
      _meta: z
        .looseObject({ searchE1: z.looseObject({ passages: z.int(), corpusHash: z.string() }).optional() })
        .optional(),
    }),
  }),
);

export class OpenSearchRetriever implements Retriever {
  readonly info: RetrieverInfo;
  readonly #connection: Connection;
  readonly #index: string;

  private constructor(manifest: OpenSearchManifest, connection: Connection) {
    const { url, index, k1, b, passages, corpusHash } = manifest;
    this.info = {
      kind: 'opensearch',
      passages,
      corpusHash,
      settings: { analyzer: 'english', k1, b, length: 'lucene', url, index },
    };
    this.#connection = connection;
    this.#index = index;
  }

  /** @throws UserError when the server is not a trusted one or does not answer, or its index is not the one that the folder's manifest describes */
  static async open(folder: string, trust: Trust = {}): Promise<OpenSearchRetriever> {
    const manifest = await readOpenSearchManifest(folder);
    requireTrusted(manifest.url, path.join(folder, MANIFEST_FILE), trust);
    const connection = await Connection.open(manifest.url);
    try {
      await checkIndex(connection, manifest);
      return new OpenSearchRetriever(manifest, connection);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  async search(queries: readonly string[], k: number, signal?: AbortSignal): Promise<Hit[][]> {
    if (!Number.isInteger(k) || k < 1) throw new RangeError(`k must be a whole number of at least 1, not ${k}`);
    const results: Hit[][] = [];
    for (let start = 0; start < queries.length; start += QUERIES_AT_ONCE)
      results.push(...(await this.#searchBatch(queries.slice(start, start + QUERIES_AT_ONCE), k, signal)));
    return results;
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** All queries of one request; those that a busy server rejects are asked again. */
  async #searchBatch(queries: readonly string[], k: number, signal?: AbortSignal): Promise<Hit[][]> {
    const results: Hit[][] = Array.from({ length: queries.length });
    let waiting = queries.map((query, i) => ({ query, i }));
    let busy = '';
    const ask = async () => {
      const body = waiting.flatMap(({ query }) => [{ index: this.#index }, searchBody(query, k)]);
      const { responses } = await this.#connection.ask(
        msearchSchema,
        (client) => client.msearch({ body, search_type: 'dfs_query_then_fetch' }),
        signal,
      );
      if (responses.length !== waiting.length)
        throw this.#failure(`${waiting.length} queries were asked, ${responses.length} answered`);
      const rejected: typeof waiting = [];
      for (const [n, response] of responses.entries()) {
        const asked = waiting[n]!;
        if (!('error' in response)) results[asked.i] = this.#hitsOf(response);
        else {
          const reason = `${JSON.stringify(asked.query.slice(0, 60))}: ${response.error.reason ?? response.error.type}`;
          if (response.status !== 429) throw this.#failure(reason);
          rejected.push(asked);
          busy = reason;
        }
      }
      waiting = rejected;
      if (rejected.length > 0) throw new Passing(busy);
    };
    await patiently(busyPatience, ask, signal).catch((error: unknown) => {
      throw error instanceof Passing ? this.#failure(error.message) : error;
    });
    return results;
  }

  /** A list from some of the shards only would be a wrong one. */
  #hitsOf({ timed_out, _shards, hits }: z.infer<typeof foundSchema>): Hit[] {
    if (timed_out) throw this.#failure('the search timed out on a shard');
    if (_shards.failed > 0) throw this.#failure(`${_shards.failed} of ${_shards.total} shards failed`);
    return hits.hits.map(({ _score, _source: { id, title, text } }) => ({
      passage: { id, title, text },
      score: _score,
    }));
  }

  #failure(reason: string): UserError {
    return new UserError(`${this.#connection.url}/${this.#index}: ${reason}`, { hint: "Look at the server's log." });
  }
}

function searchBody(query: string, k: number) {
  return {
    size: k,
    query: { match: { contents: { query, operator: 'or' as const } } },
    sort: [{ _score: 'desc' as const }, { position: 'asc' as const }],
    track_total_hits: false,
    _source: ['id', 'title', 'text'],
  };
}

async function checkIndex(
  connection: Connection,
  { url, index, passages, corpusHash }: OpenSearchManifest,
): Promise<void> {
  const mapping = await connection.ask(mappingSchema, (client) => client.indices.getMapping({ index }));
  const held = mapping[index]?.mappings._meta?.searchE1;
  const { count } = await connection.ask(z.looseObject({ count: z.int() }), (client) => client.count({ index }));
  if (held?.corpusHash === corpusHash && held.passages === passages && count === passages) return;
  throw new UserError(
    `${url}: index ${index} does not hold the corpus that was loaded (${count} passages of ${passages})`,
    {
      hint: 'Load the corpus again under another name.',
    },
  );
}
