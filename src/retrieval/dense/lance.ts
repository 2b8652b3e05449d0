/**
 * Approximate search for sets of vectors that are too large to go through at every query: LanceDB's IVF_RQ (one bit a
 * dimension, in partitions), ten times k rows scored again with their whole vectors. LanceDB is not installed with this
 * package (230 MB); whoever wants it runs `npm install @lancedb/lancedb`.
 */
import { rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { hasCode, UserError } from '../../base/errors.ts';
import { fromHalf } from '../../base/half-floats.ts';
import type { Neighbour } from './flat-search.ts';
import { VectorFile, type VectorLayout } from './vector-file.ts';
import type { VectorIndex } from './vector-index.ts';

/** The table's folder within an index. */
export const LANCE_FOLDER = 'lancedb';
/** Rows scored again with their whole vectors, for each row asked for. */
export const REFINE_FACTOR = 10;
/** The share of partitions looked at, and the least number of them. */
const PROBED_SHARE = 0.1;
const LEAST_PROBES = 20;
const TABLE = 'vectors';
/** Queries under way in LanceDB's own threads. */
const CONCURRENCY = 8;

/** What is used of @lancedb/lancedb 0.39. */
interface Lance {
  connect(folder: string): Promise<{
    createTable(name: string, data: object): Promise<LanceTable>;
    openTable(name: string): Promise<LanceTable>;
    close(): void;
  }>;
  makeArrowTable(rows: Record<string, unknown>[]): object;
  readonly Index: { ivfRq(options: { numPartitions: number; distanceType: 'dot' }): unknown };
}
interface LanceTable {
  add(data: object): Promise<unknown>;
  createIndex(column: string, options: { config: unknown }): Promise<void>;
  vectorSearch(vector: Float32Array): LanceQuery;
  close(): void;
}
interface LanceQuery {
  distanceType(type: 'dot'): LanceQuery;
  nprobes(count: number): LanceQuery;
  refineFactor(factor: number): LanceQuery;
  limit(count: number): LanceQuery;
  select(columns: string[]): LanceQuery;
  toArray(): Promise<{ position: number; _distance: number }[]>;
}

/** @throws UserError saying what to install */
function loadLance(): Lance {
  try {
    // Not by import, for which the compiler would look for a package that is not there.
    return createRequire(import.meta.url)('@lancedb/lancedb') as Lance;
  } catch (error) {
    if (!hasCode(error, 'MODULE_NOT_FOUND')) throw error;
    throw new UserError('LanceDB is not installed', {
      hint: 'Install it beside search-e1 (npm install @lancedb/lancedb), or build a flat index.',
      cause: error,
    });
  }
}

/** Says early whether LanceDB is there. @throws UserError saying what to install */
export function requireLance(): void {
  loadLance();
}

/**
 * Brings the vectors of a file into a table and indexes them; anything that stood in the folder is replaced.
 * @returns the number of partitions, about the square root of the number of vectors
 */
export async function buildLance(
  folder: string,
  file: string,
  layout: VectorLayout,
  signal?: AbortSignal,
): Promise<number> {
  const lance = loadLance();
  await rm(folder, { recursive: true, force: true });
  const connection = await lance.connect(folder);
  const vectors = new VectorFile(file, layout, 0);
  try {
    let table: LanceTable | undefined;
    for (let block = 0; block < vectors.blocks; block++) {
      signal?.throwIfAborted();
      const rows = lance.makeArrowTable(rowsOf(vectors, block));
      if (table === undefined) table = await connection.createTable(TABLE, rows);
      else await table.add(rows);
    }
    const partitions = Math.max(1, Math.round(Math.sqrt(layout.count)));
    await table!.createIndex('vector', {
      config: lance.Index.ivfRq({ numPartitions: partitions, distanceType: 'dot' }),
    });
    table!.close();
    return partitions;
  } finally {
    vectors.close();
    connection.close();
  }
}

function rowsOf(vectors: VectorFile, block: number): Record<string, unknown>[] {
  const { dimension, blockRows } = vectors.layout;
  const data = vectors.block(block);
  const values = data instanceof Float32Array ? data : Float32Array.from(data, fromHalf);
  return Array.from({ length: values.length / dimension }, (_, row) => ({
    position: block * blockRows + row,
    vector: Array.from(values.subarray(row * dimension, (row + 1) * dimension)),
  }));
}

/** @throws UserError when LanceDB is not installed */
export async function openLance(folder: string, dimension: number, partitions: number): Promise<VectorIndex> {
  const lance = loadLance();
  const connection = await lance.connect(folder);
  const table = await connection.openTable(TABLE);
  const probes = Math.min(partitions, Math.max(LEAST_PROBES, Math.ceil(PROBED_SHARE * partitions)));

  async function nearest(query: Float32Array, k: number): Promise<Neighbour[]> {
    const rows = await table
      .vectorSearch(query)
      .distanceType('dot')
      .nprobes(probes)
      .refineFactor(REFINE_FACTOR)
      .limit(k)
      // Named, because LanceDB warns when it is not.
      .select(['position', '_distance'])
      .toArray();
    // LanceDB's distance of an inner product p is 1 − p.
    return rows
      .map(({ position, _distance }) => ({ position, score: 1 - _distance }))
      .sort((a, b) => b.score - a.score || a.position - b.position);
  }

  return {
    async search(queries, k, signal) {
      const results: Neighbour[][] = Array.from({ length: queries.length / dimension });
      let next = 0;
      const worker = async () => {
        while (next < results.length) {
          signal?.throwIfAborted();
          const i = next++;
          results[i] = await nearest(queries.slice(i * dimension, (i + 1) * dimension), k);
        }
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, worker));
      return results;
    },
    async close() {
      table.close();
      connection.close();
    },
  };
}
