/** BM25 over an index directory: ranking on threads or in turns of the event loop, a cache, passages read from disk. */
import { availableParallelism } from 'node:os';
import { type Analyzer, createAnalyzer } from './analyzer.ts';
import { type LoadedIndex, loadIndex, type Scoring } from './index/load.ts';
import { idsAmong, passageIds } from './index/passage-lines.ts';
import { PassageStore, type PassageTable } from './index/passage-store.ts';
import type { QueryTerm } from './ranking/formula.ts';
import { checkDepth, Ranker } from './ranking/ranker.ts';
import { cacheKey, ResultCache } from './ranking/result-cache.ts';
import { SearchPool } from './ranking/search-pool.ts';
import { idOrder, type Ties } from './ranking/ties.ts';
import type { Ranked } from './ranking/top.ts';
import type { Hit, Retriever, RetrieverInfo, RetrieverStatistics } from './retriever.ts';
import { Turns } from './turns.ts';

export interface DiskBm25Options extends Scoring {
  /** Search threads; 0 = in this thread, in turns. Default: none below 200,000 passages, else one a core. */
  readonly workers?: number;
  /** Room for ranked lists; 0 = no cache. Default 64 MiB. */
  readonly cacheBytes?: number;
  /** Which of equal scores comes first; default: the one that stands first in the corpus. By id, opening reads all passages. */
  readonly ties?: Ties;
}

/** Of a smaller index, a turn's queries take no longer than a message to a thread and back. */
const MANY_PASSAGES = 200_000;
const CACHE_BYTES = 64 << 20;
/** Passages read between two looks at the clock. */
const PASSAGES_PER_LOOK = 64;

export class DiskBm25 implements Retriever {
  readonly info: RetrieverInfo;
  readonly #analyze: Analyzer;
  readonly #ranker: Ranker;
  readonly #pool: SearchPool | undefined;
  readonly #cache: ResultCache;
  readonly #store: PassageStore;
  readonly #table: PassageTable;
  readonly #counts = { queries: 0, cacheHits: 0 };
  #closed = false;

  /** @throws UserError when the directory holds no index, or a damaged one */
  static async open(folder: string, options: DiskBm25Options = {}): Promise<DiskBm25> {
    const loaded = await loadIndex(folder, options);
    const order = options.ties === 'id' ? idOrder(passageIds(loaded.table)) : undefined;
    return new DiskBm25(loaded, order, options);
  }

  private constructor(
    { manifest, arrays, impacts, table }: LoadedIndex,
    order: Uint32Array | undefined,
    options: DiskBm25Options,
  ) {
    const { k1, b } = impacts;
    const workers = options.workers ?? (arrays.passages < MANY_PASSAGES ? 0 : availableParallelism());
    this.info = {
      kind: 'bm25',
      passages: arrays.passages,
      corpusHash: manifest.corpusHash,
      settings: {
        ...{ analyzer: manifest.analyzer, k1, b, length: arrays.length, fingerprint: manifest.fingerprint },
        ...(order && { ties: 'id' }),
      },
    };
    this.#analyze = createAnalyzer(manifest.analyzer);
    this.#ranker = new Ranker(arrays, { k1, b, order }, impacts);
    this.#pool = workers > 0 ? new SearchPool({ arrays, impacts, settings: { k1, b, order } }, { workers }) : undefined;
    this.#cache = new ResultCache(options.cacheBytes ?? CACHE_BYTES);
    this.#store = new PassageStore(table);
    this.#table = table;
  }

  async search(queries: readonly string[], k: number, signal?: AbortSignal): Promise<Hit[][]> {
    const lists = await this.rank(queries, k, signal);
    const turn = new Turns(signal);
    const results: Hit[][] = [];
    for (const { positions, scores } of lists) {
      const hits: Hit[] = [];
      for (let i = 0; i < positions.length; i++) {
        if (i % PASSAGES_PER_LOOK === 0) {
          await turn.next();
          this.#refuseClosed();
        }
        hits.push({ passage: this.#store.read(positions[i]!), score: scores[i]! });
      }
      results.push(hits);
    }
    return results;
  }

  /** The positions and scores that `search` finds, without reading the passages. */
  async rank(queries: readonly string[], k: number, signal?: AbortSignal): Promise<Ranked[]> {
    checkDepth(k);
    this.#refuseClosed();
    signal?.throwIfAborted();
    const turn = new Turns(signal);
    const keys: string[] = [];
    const found = new Map<string, Ranked>();
    const missing = new Map<string, QueryTerm[]>();
    for (const query of queries) {
      await turn.next();
      const terms = this.#ranker.queryTerms(this.#analyze(query));
      const key = cacheKey(terms, k);
      keys.push(key);
      if (found.has(key) || missing.has(key)) continue;
      const cached = this.#cache.get(key);
      if (cached) found.set(key, cached);
      else missing.set(key, terms);
    }
    const ranked = await this.#rankTerms([...missing.values()], k, signal);
    for (const [i, key] of [...missing.keys()].entries()) {
      found.set(key, ranked[i]!);
      this.#cache.set(key, ranked[i]!);
    }
    this.#counts.queries += queries.length;
    this.#counts.cacheHits += queries.length - missing.size;
    return keys.map((key) => found.get(key)!);
  }

  async has(ids: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    return idsAmong(passageIds(this.#table), ids);
  }

  statistics(): RetrieverStatistics {
    return { ...this.#counts, cacheBytes: this.#cache.bytes };
  }

  /** Ends the threads and closes the files; searches under way are rejected. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#pool?.close();
    this.#store.close();
  }

  async #rankTerms(queries: readonly QueryTerm[][], k: number, signal?: AbortSignal): Promise<Ranked[]> {
    if (this.#pool) return this.#pool.rank(queries, k, signal);
    const turn = new Turns(signal);
    const lists: Ranked[] = [];
    for (const terms of queries) {
      await turn.next();
      lists.push(this.#ranker.rank(terms, k));
    }
    return lists;
  }

  #refuseClosed(): void {
    if (this.#closed) throw new Error('the index is closed');
  }
}
