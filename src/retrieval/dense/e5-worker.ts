/** The thread of a local embedder: ONNX Runtime blocks the thread that runs it. */
import { workerData } from 'node:worker_threads';
import { useGuard } from '../../onnx/native-guard.ts';
import { serve } from '../../onnx/serve.ts';
import { E5, type E5Files } from './e5.ts';

export interface E5WorkerSetup {
  readonly files: E5Files;
  readonly threads: number;
}

export interface E5Verbs {
  open(): Promise<void>;
  embed(texts: readonly string[]): Promise<Float32Array<ArrayBuffer>>;
}

const { files, threads, guard } = workerData as E5WorkerSetup & { readonly guard: Int32Array };
useGuard(guard);
let model: E5 | undefined;
serve<E5Verbs>(
  {
    // A verb of its own, so that what is wrong with the files comes back as an error of the user's.
    open: async () => {
      model = await E5.open(files, threads);
    },
    embed: (texts, signal) => model!.embed(texts, signal),
  },
  { inTurn: true },
);
