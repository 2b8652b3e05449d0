/** An index directory as a retriever, searched in the calling thread: its arrays in memory, its passages read from disk. */
import { type Analyzer, createAnalyzer } from './analyzer.ts';
import { type LoadedIndex, loadIndex, type Scoring } from './index/load.ts';
import { PassageStore } from './index/passage-store.ts';
import { Ranker } from './ranking/ranker.ts';
import type { Hit, Retriever, RetrieverInfo } from './retriever.ts';

/** Queries between two turns of the event loop, so that aborts and other work are not kept waiting. */
const QUERIES_PER_TURN = 32;

export class DiskBm25 implements Retriever {
  readonly info: RetrieverInfo;
  readonly #analyze: Analyzer;
  readonly #ranker: Ranker;
  readonly #passages: PassageStore;

  constructor({ manifest, arrays, impacts, table }: LoadedIndex) {
    const { analyzer, passages, corpusHash } = manifest;
    const { k1, b } = impacts;
    this.info = { kind: 'bm25', passages, corpusHash, settings: { analyzer, k1, b, length: arrays.length } };
    this.#analyze = createAnalyzer(analyzer);
    this.#ranker = new Ranker(arrays, { k1, b }, impacts);
    this.#passages = new PassageStore(table);
  }

  /** @throws UserError when the directory holds no index, or a damaged one */
  static async open(folder: string, scoring?: Scoring): Promise<DiskBm25> {
    return new DiskBm25(await loadIndex(folder, scoring));
  }

  /** The k best passages of one query, best first, ties by position in the corpus; only passages that share a term with it. */
  searchNow(query: string, k: number): Hit[] {
    const { positions, scores } = this.#ranker.rank(this.#analyze(query), k);
    return Array.from(positions, (position, i) => ({ passage: this.#passages.read(position), score: scores[i]! }));
  }

  async search(queries: readonly string[], k: number, signal?: AbortSignal): Promise<Hit[][]> {
    const results: Hit[][] = [];
    for (const [i, query] of queries.entries()) {
      if (i > 0 && i % QUERIES_PER_TURN === 0) await new Promise((resume) => setImmediate(resume));
      signal?.throwIfAborted();
      results.push(this.searchNow(query, k));
    }
    return results;
  }

  async close(): Promise<void> {
    this.#passages.close();
  }
}
