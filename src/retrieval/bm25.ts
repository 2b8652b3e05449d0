/**
 * Exact BM25 over a corpus in memory, scored exhaustively.
 *
 *   score(q, d) = Σ_{t ∈ q} idf(t) · tf(t, d) / (tf(t, d) + k1 (1 − b + b · |d| / avg|d|))      t with multiplicity
 *   idf(t)      = ln(1 + (N − df(t) + 0.5) / (df(t) + 0.5))
 *
 * as in Lucene, except that Lucene rounds the length |d| to one byte. A passage's terms are those of its title and text.
 */
import { type Analyzer, type AnalyzerName, createAnalyzer } from './analyzer.ts';
import { corpusHash } from './corpus.ts';
import type { Hit, Passage, Retriever, RetrieverInfo } from './retriever.ts';

export interface Bm25Settings {
  readonly analyzer: AnalyzerName;
  /** Saturation of the term frequency, ≥ 0. */
  readonly k1: number;
  /** Weight of the passage's length, in [0, 1]. */
  readonly b: number;
}

/** Queries between two turns of the event loop, so that aborts and other work are not kept waiting. */
const QUERIES_PER_TURN = 32;

export class Bm25Index implements Retriever {
  readonly info: RetrieverInfo;
  readonly #passages: readonly Passage[];
  readonly #analyze: Analyzer;
  readonly #termIds: ReadonlyMap<string, number>;
  /** The postings of term t are the entries offsets[t] ... offsets[t+1]−1 of `positions` (ascending) and `weights`. */
  readonly #offsets: Uint32Array;
  /** Position of the passage in the corpus. */
  readonly #positions: Uint32Array;
  /** idf · tf / (tf + k1 (1 − b + b · |d| / avg|d|)): what one occurrence of the term in the query adds. */
  readonly #weights: Float64Array;
  /** Score of each passage; all zero between searches. */
  readonly #scores: Float64Array;
  /** The positions whose score is not zero, while a search runs. */
  readonly #matched: Uint32Array;

  /** Analyses and indexes all passages; at least one. */
  constructor(passages: readonly Passage[], settings: Partial<Bm25Settings> = {}) {
    const { analyzer = 'english', k1 = 0.9, b = 0.4 } = settings;
    if (passages.length === 0) throw new RangeError('BM25 needs at least one passage');
    if (!(k1 >= 0)) throw new RangeError(`k1 must be at least 0, not ${k1}`);
    if (!(b >= 0 && b <= 1)) throw new RangeError(`b must lie in [0, 1], not ${b}`);
    this.info = {
      kind: 'bm25',
      passages: passages.length,
      corpusHash: corpusHash(passages),
      settings: { analyzer, k1, b },
    };
    this.#passages = passages;
    this.#analyze = createAnalyzer(analyzer);
    this.#scores = new Float64Array(passages.length);
    this.#matched = new Uint32Array(passages.length);

    const { termIds, postings, lengths } = this.#count(passages);
    const N = passages.length;
    const averageLength = lengths.reduce((sum, length) => sum + length, 0) / N;
    const size = postings.reduce((sum, posting) => sum + posting.length / 2, 0);
    this.#termIds = termIds;
    this.#offsets = new Uint32Array(postings.length + 1);
    this.#positions = new Uint32Array(size);
    this.#weights = new Float64Array(size);
    let end = 0;
    for (const [term, posting] of postings.entries()) {
      const df = posting.length / 2;
      const idf = Math.log(1 + (N - df + 0.5) / (df + 0.5));
      for (let i = 0; i < posting.length; i += 2) {
        const position = posting[i]!;
        const tf = posting[i + 1]!;
        this.#positions[end] = position;
        this.#weights[end] = (idf * tf) / (tf + k1 * (1 - b + (b * lengths[position]!) / averageLength));
        end++;
      }
      this.#offsets[term + 1] = end;
    }
  }

  /** The k best passages of one query, best first, ties by position in the corpus; only passages that share a term with it. */
  searchNow(query: string, k: number): Hit[] {
    if (!Number.isInteger(k) || k < 1) throw new RangeError(`k must be a whole number of at least 1, not ${k}`);
    const [scores, matched, positions, weights] = [this.#scores, this.#matched, this.#positions, this.#weights];
    let matches = 0;
    // Sorted, so that the sum, and with it the order of near-ties, does not depend on the order of the query's words.
    for (const term of this.#analyze(query).sort()) {
      const id = this.#termIds.get(term);
      if (id === undefined) continue;
      const end = this.#offsets[id + 1]!;
      for (let i = this.#offsets[id]!; i < end; i++) {
        const position = positions[i]!;
        const score = scores[position]!;
        // Weights are above zero, so a score of zero means that no term has matched yet.
        if (score === 0) matched[matches++] = position;
        scores[position] = score + weights[i]!;
      }
    }
    return this.#takeBest(k, matches);
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

  /** Term frequencies: for each term the list position, tf, position, tf, ...; and each passage's number of terms. */
  #count(passages: readonly Passage[]) {
    const termIds = new Map<string, number>();
    const postings: number[][] = [];
    const lengths = new Uint32Array(passages.length);
    for (const [position, { title, text }] of passages.entries()) {
      const terms = this.#analyze(`${title}\n${text}`);
      lengths[position] = terms.length;
      for (const term of terms) {
        let id = termIds.get(term);
        if (id === undefined) {
          id = postings.push([]) - 1;
          termIds.set(term, id);
        }
        const posting = postings[id]!;
        if (posting[posting.length - 2] === position) posting[posting.length - 1]!++;
        else posting.push(position, 1);
      }
    }
    return { termIds, postings, lengths };
  }

  /** The k best of the first `matches` entries of `matched`; resets their scores. */
  #takeBest(k: number, matches: number): Hit[] {
    const best: { position: number; score: number }[] = [];
    let threshold = 0;
    for (let i = 0; i < matches; i++) {
      const position = this.#matched[i]!;
      const score = this.#scores[position]!;
      this.#scores[position] = 0;
      if (score < threshold) continue;
      let rank = best.length;
      while (rank > 0 && isBetter(score, position, best[rank - 1]!)) rank--;
      best.splice(rank, 0, { position, score });
      if (best.length > k) best.pop();
      if (best.length === k) threshold = best[k - 1]!.score;
    }
    return best.map(({ position, score }) => ({ passage: this.#passages[position]!, score }));
  }
}

function isBetter(score: number, position: number, than: { position: number; score: number }): boolean {
  return score > than.score || (score === than.score && position < than.position);
}
