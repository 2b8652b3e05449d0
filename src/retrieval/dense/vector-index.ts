/** What the dense retriever asks of an index of vectors: flat (exact) or LanceDB (approximate). */
import type { Neighbour } from './flat-search.ts';

export interface VectorIndex {
  /**
   * @param queries rows of the index's dimension
   * @returns for each query its k rows with the largest inner products, best first; fewer when there are fewer
   */
  search(queries: Float32Array, k: number, signal?: AbortSignal): Promise<Neighbour[][]>;
  close(): Promise<void>;
}
