/** The thread of a flat index: ONNX Runtime blocks the thread that runs it. */
import { workerData } from 'node:worker_threads';
import { useGuard } from '../../onnx/native-guard.ts';
import { serve } from '../../onnx/serve.ts';
import { FlatSearch, type Neighbour } from './flat-search.ts';
import { VectorFile, type VectorLayout } from './vector-file.ts';

export interface FlatWorkerSetup {
  readonly file: string;
  readonly layout: VectorLayout;
  readonly threads: number;
  readonly memory: number;
}

export interface FlatVerbs {
  search(queries: Float32Array, k: number): Promise<Neighbour[][]>;
}

const { file, layout, threads, memory, guard } = workerData as FlatWorkerSetup & { readonly guard: Int32Array };
useGuard(guard);
const flat = await FlatSearch.open(new VectorFile(file, layout, memory), threads);
serve<FlatVerbs>({ search: (queries, k, signal) => flat.search(queries, k, signal) }, { inTurn: true });
