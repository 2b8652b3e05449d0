/** The thread of a local embedder: ONNX Runtime blocks the thread that runs it. */
import { workerData } from 'node:worker_threads';
import { useGuard } from '../../../onnx/native-guard.ts';
import { serve } from '../../../onnx/serve.ts';
import type { EncoderFiles } from './folder.ts';
import { SentenceEncoder } from './sentence-encoder.ts';

export interface EncoderWorkerSetup {
  readonly files: EncoderFiles;
  readonly threads: number;
}

export interface EncoderVerbs {
  open(): Promise<void>;
  embed(texts: readonly string[]): Promise<Float32Array<ArrayBuffer>>;
}

const { files, threads, guard } = workerData as EncoderWorkerSetup & { readonly guard: Int32Array };
useGuard(guard);
let encoder: SentenceEncoder | undefined;
serve<EncoderVerbs>(
  {
    // A verb of its own, so that what is wrong with the files comes back as an error of the user's.
    open: async () => {
      encoder = await SentenceEncoder.open(files, threads);
    },
    embed: (texts, signal) => encoder!.embed(texts, signal),
  },
  { inTurn: true },
);
