/**
 * BM25 over a corpus in memory: the ranking of an index directory (ranking/), its arrays made on the spot.
 * Lengths are exact unless told otherwise. A passage's terms are those of its title and text.
 */
import { type Analyzer, type AnalyzerName, createAnalyzer } from './analyzer.ts';
import { corpusHash } from './corpus.ts';
import type { LengthForm } from './index/arrays.ts';
import { computeImpacts } from './index/impacts.ts';
import { indexTexts } from './index/in-memory.ts';
import { idsAmong } from './index/passage-lines.ts';
import { Ranker, type RankingSettings } from './ranking/ranker.ts';
import { idOrder, type Ties } from './ranking/ties.ts';
import type { Hit, Passage, Retriever, RetrieverInfo } from './retriever.ts';
import { Turns } from './turns.ts';

export interface Bm25Settings extends Omit<RankingSettings, 'order'> {
  readonly analyzer: AnalyzerName;
  readonly length: LengthForm;
  /** Which of equal scores comes first; default: the one that stands first in the corpus. */
  readonly ties: Ties;
}

export class Bm25Index implements Retriever {
  readonly info: RetrieverInfo;
  readonly #passages: readonly Passage[];
  readonly #analyze: Analyzer;
  readonly #ranker: Ranker;

  /** Analyses and indexes all passages; at least one. */
  constructor(passages: readonly Passage[], settings: Partial<Bm25Settings> = {}) {
    const { analyzer = 'english', k1 = 0.9, b = 0.4, length = 'exact', ties = 'position' } = settings;
    if (passages.length === 0) throw new RangeError('BM25 needs at least one passage');
    this.info = {
      kind: 'bm25',
      passages: passages.length,
      corpusHash: corpusHash(passages),
      settings: { analyzer, k1, b, length, ...(ties === 'id' && { ties }) },
    };
    this.#passages = passages;
    this.#analyze = createAnalyzer(analyzer);
    const texts = passages.map(({ title, text }) => `${title}\n${text}`);
    const order = ties === 'id' ? idOrder(passages.map(({ id }) => id)) : undefined;
    const arrays = indexTexts(texts, this.#analyze, length);
    this.#ranker = new Ranker(arrays, { k1, b, order }, computeImpacts(arrays, k1, b));
  }

  /** The k best passages of one query, best first; only passages that share a term with it. */
  searchNow(query: string, k: number): Hit[] {
    const { positions, scores } = this.#ranker.rank(this.#ranker.queryTerms(this.#analyze(query)), k);
    return Array.from(positions, (position, i) => ({ passage: this.#passages[position]!, score: scores[i]! }));
  }

  async search(queries: readonly string[], k: number, signal?: AbortSignal): Promise<Hit[][]> {
    const results: Hit[][] = [];
    signal?.throwIfAborted();
    const turn = new Turns(signal);
    for (const query of queries) {
      await turn.next();
      results.push(this.searchNow(query, k));
    }
    return results;
  }

  async has(ids: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    return idsAmong(
      this.#passages.map(({ id }) => id),
      ids,
    );
  }

  /** Holds nothing open; here so that every retriever is closed alike. */
  async close(): Promise<void> {}
}
