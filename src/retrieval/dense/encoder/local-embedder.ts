/** A local encoder as an embedder, in a thread of its own. */
import { availableParallelism } from 'node:os';
import { WorkerClient } from '../../../onnx/worker-client.ts';
import type { Embedder, EmbedderInfo } from '../embedder.ts';
import { readEncoderFolder } from './folder.ts';
import type { EncoderVerbs, EncoderWorkerSetup } from './worker.ts';

/** Texts of one call of the thread; the more, the more of them share a run. An aborted call ends between two runs. */
const TEXTS_A_CALL = 256;

export interface LocalEmbedderOptions {
  /** Default: all cores. */
  readonly threads?: number | undefined;
  /** In place of the folder's own. */
  readonly prefixes?: Partial<EmbedderInfo['prefixes']> | undefined;
}

/**
 * @param folder as `readEncoderFolder` reads it
 * @throws UserError naming what is missing or does not fit
 */
export async function openLocalEmbedder(
  folder: string,
  { threads = availableParallelism(), prefixes: given }: LocalEmbedderOptions = {},
): Promise<Embedder> {
  const files = await readEncoderFolder(folder);
  const prefixes = { ...files.prefixes, ...given };
  // Beside this file lies the worker's source, or, when built, its JavaScript.
  const script = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
  const client = new WorkerClient<EncoderVerbs>(script, { files, threads } satisfies EncoderWorkerSetup, 'embedder');
  try {
    await client.ready();
    await client.call('open', []);
  } catch (error) {
    await client.close();
    throw error;
  }
  return {
    info: { name: folder, dimension: files.dimension, hash: files.hash, prefixes },
    async embed(texts, role, signal) {
      const vectors = new Float32Array(texts.length * files.dimension);
      for (let start = 0; start < texts.length; start += TEXTS_A_CALL) {
        const part = texts.slice(start, start + TEXTS_A_CALL).map((text) => prefixes[role] + text);
        vectors.set(await client.call('embed', [part], signal), start * files.dimension);
      }
      return vectors;
    },
    close: () => client.close(),
  };
}
