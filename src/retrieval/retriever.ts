/** What the agent loop asks of any retriever. */

export interface Passage {
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

export interface Hit {
  readonly passage: Passage;
  readonly score: number;
}

export interface RetrieverInfo {
  readonly kind: string;
  readonly passages: number;
  /** SHA-256 over the corpus as read; a score without it says nothing. */
  readonly corpusHash: string;
  /** For the record: ranking parameters (e.g. k1 and b), and what identifies the index itself (e.g. its fingerprint). */
  readonly settings: Readonly<Record<string, number | string>>;
}

/** Counts since the retriever was opened. */
export interface RetrieverStatistics {
  readonly queries: number;
  /** Queries answered without a search: by the cache, or by the same query of the same batch. */
  readonly cacheHits: number;
  /** What the cache holds now, in bytes. */
  readonly cacheBytes: number;
}

export interface Retriever {
  readonly info: RetrieverInfo;
  /**
   * The k best passages of each query, best first, ties by position in the corpus; fewer when fewer match.
   * Rejects when the signal is aborted or the retriever fails; never returns a partial batch.
   */
  search(queries: readonly string[], k: number, signal?: AbortSignal): Promise<Hit[][]>;
  /** Those of the ids that the corpus has, blanks around ids aside; of retrievers that can tell. Reads all passages. */
  has?(ids: ReadonlySet<string>): Promise<ReadonlySet<string>>;
  /** Of retrievers that have a cache. */
  statistics?(): RetrieverStatistics;
}

/** A retriever with whatever it holds open: threads, files, connections. */
export interface OpenRetriever extends Retriever {
  close(): Promise<void>;
}
