/** A vector file opened for exact search, in a thread of its own. */
import { availableParallelism } from 'node:os';
import { WorkerClient } from '../../onnx/worker-client.ts';
import type { FlatVerbs, FlatWorkerSetup } from './flat-worker.ts';
import { checkVectorFile, type VectorLayout } from './vector-file.ts';
import type { VectorIndex } from './vector-index.ts';

export interface FlatIndexOptions {
  /** Threads of the matrix product; default: all cores. */
  readonly threads?: number | undefined;
  /** Bytes of vectors kept in memory, the rest is read at each search; default 1 GiB. */
  readonly memory?: number | undefined;
}

/** @throws UserError when the file is absent or not of the size that its layout says; a damaged block, when it is first read */
export async function openFlatIndex(
  file: string,
  layout: VectorLayout,
  { threads = availableParallelism(), memory = 1 << 30 }: FlatIndexOptions = {},
): Promise<VectorIndex> {
  await checkVectorFile(file, layout);
  // Beside this file lies the worker's source, or, when built, its JavaScript.
  const script = new URL(import.meta.url.endsWith('.ts') ? './flat-worker.ts' : './flat-worker.js', import.meta.url);
  const client = new WorkerClient<FlatVerbs>(
    script,
    { file, layout, threads, memory } satisfies FlatWorkerSetup,
    'vector index',
  );
  await client.ready();
  return {
    search: (queries, k, signal) => client.call('search', [queries, k], signal),
    close: () => client.close(),
  };
}
