/**
 * Exact inner-product search: the k rows of a vector file with the largest products, in double precision.
 *
 *   score(q, v) = Σ_j q_j v_j      ties by position
 *
 * ONNX Runtime multiplies a batch of queries with a block of rows in float32, a hundred times as fast as a loop. Its
 * rounding depends on the batch, so it only chooses candidates. However the d products are added up, with or without
 * fused operations, a float32 score is off by at most (Higham, "Accuracy and Stability of Numerical Algorithms", §3.1)
 *
 *   ε = γ_d ‖q‖ ‖v‖,   γ_d = d u / (1 − d u),   u = 2^-24
 *
 * so every row of the true k best has a float32 score of at least (the k-th best one) − 2ε. Those rows are scored again in
 * double precision: the result is that of a plain loop to the last bit, whatever else shares the batch.
 */
import type { InferenceSession } from 'onnxruntime-node';
import { Graph } from '../../onnx/graph.ts';
import { createSession, floats, halves } from '../../onnx/session.ts';
import type { VectorFile, VectorLayout } from './vector-file.ts';

export interface Neighbour {
  /** Row of the file. */
  readonly position: number;
  readonly score: number;
}

/** Queries of one product; bounds its result to a few megabytes. */
const QUERIES_AT_ONCE = 256;
/** Candidates of a query are thinned out when there are more than this, plus 4k. */
const SPARE_CANDIDATES = 1024;
/** Smallest normal float32: smaller products may be flushed to zero. */
const TINY = 2 ** -126;

export class FlatSearch {
  readonly #file: VectorFile;
  readonly #session: InferenceSession;

  private constructor(file: VectorFile, session: InferenceSession) {
    this.#file = file;
    this.#session = session;
  }

  static async open(file: VectorFile, threads: number): Promise<FlatSearch> {
    return new FlatSearch(file, await createSession(productGraph(file.layout), threads));
  }

  /**
   * @param queries rows of `dimension` numbers
   * @returns for each query its k best rows, best first; fewer when there are fewer
   */
  async search(queries: Float32Array, k: number, signal?: AbortSignal): Promise<Neighbour[][]> {
    const { dimension } = this.#file.layout;
    if (queries.length % dimension !== 0)
      throw new RangeError(`${queries.length} numbers are no whole number of vectors of dimension ${dimension}`);
    const results: Neighbour[][] = [];
    for (let start = 0; start < queries.length; start += QUERIES_AT_ONCE * dimension)
      results.push(...(await this.#searchBatch(queries.slice(start, start + QUERIES_AT_ONCE * dimension), k, signal)));
    return results;
  }

  async close(): Promise<void> {
    await this.#session.release();
    this.#file.close();
  }

  async #searchBatch(queries: Float32Array, k: number, signal?: AbortSignal): Promise<Neighbour[][]> {
    const file = this.#file;
    const { dimension, blockRows, largestNorm } = file.layout;
    const count = queries.length / dimension;
    const candidates = Array.from({ length: count }, (_, i) => {
      const norm = normOf(queries.subarray(i * dimension, (i + 1) * dimension));
      return new Candidates(k, 2 * roundingBound(dimension, norm, largestNorm));
    });
    const queryTensor = floats(queries, [count, dimension]);
    for (let block = 0; block < file.blocks; block++) {
      signal?.throwIfAborted();
      const data = file.block(block);
      const rows = data.length / dimension;
      const rowTensor =
        data instanceof Float32Array ? floats(data, [rows, dimension]) : halves(data, [rows, dimension]);
      const { scores } = await this.#session.run({ queries: queryTensor, rows: rowTensor });
      const products = scores!.data as Float32Array;
      for (const [i, kept] of candidates.entries())
        kept.offer(products.subarray(i * rows, (i + 1) * rows), block * blockRows);
    }
    return candidates.map((kept, i) => {
      const query = queries.subarray(i * dimension, (i + 1) * dimension);
      return kept
        .positions()
        .map((position) => ({ position, score: file.dot(query, position) }))
        .sort((a, b) => b.score - a.score || a.position - b.position)
        .slice(0, k);
    });
  }
}

/** The rows of one query that may still be among its k best. */
class Candidates {
  readonly #k: number;
  readonly #margin: number;
  #positions: number[] = [];
  #scores: number[] = [];
  /** No row below this score can be among the k best. */
  #floor = Number.NEGATIVE_INFINITY;
  #limit: number;

  /** @param margin twice the bound on a score's error */
  constructor(k: number, margin: number) {
    this.#k = k;
    this.#margin = margin;
    this.#limit = 4 * k + SPARE_CANDIDATES;
  }

  offer(scores: Float32Array, firstPosition: number): void {
    for (let i = 0; i < scores.length; i++) {
      const score = scores[i]!;
      if (score < this.#floor) continue;
      this.#positions.push(firstPosition + i);
      this.#scores.push(score);
      if (this.#scores.length < this.#limit) continue;
      this.#thin();
      // Where many rows tie, thinning again at once would be for nothing.
      this.#limit = Math.max(this.#limit, 2 * this.#scores.length);
    }
  }

  positions(): readonly number[] {
    this.#thin();
    return this.#positions;
  }

  #thin(): void {
    if (this.#scores.length <= this.#k) return;
    const kth = Float32Array.from(this.#scores).sort()[this.#scores.length - this.#k]!;
    this.#floor = kth - this.#margin;
    const isIn = (_: number, i: number) => this.#scores[i]! >= this.#floor;
    this.#positions = this.#positions.filter(isIn);
    this.#scores = this.#scores.filter(isIn);
  }
}

/** ε above, with what is flushed to zero, and a thousandth for the rounding in double precision. */
function roundingBound(dimension: number, queryNorm: number, rowNorm: number): number {
  const du = dimension * 2 ** -24;
  return 1.001 * (du / (1 - du)) * queryNorm * rowNorm + 2 * dimension * TINY;
}

function normOf(vector: Float32Array): number {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const norm = Math.sqrt(squares);
  if (!(norm < 1e15)) throw new RangeError(`a query's vector must be finite, its norm is ${norm}`);
  return norm;
}

/** scores = queries · rowsᵀ in float32; half-precision rows are widened first, which is exact. */
function productGraph({ dimension, type }: VectorLayout): Uint8Array {
  const graph = new Graph();
  const queries = graph.input('queries', 'float32', ['queries', dimension]);
  const stored = graph.input('rows', type, ['rows', dimension]);
  const rows = type === 'float32' ? stored : graph.op('Cast', [stored], { to: 1 });
  graph.output('scores', 'float32', ['queries', 'rows'], graph.op('Gemm', [queries, rows], { transB: 1 }));
  return graph.build();
}
