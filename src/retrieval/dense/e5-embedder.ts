/** A local E5 model as an embedder, in a thread of its own. */
import { availableParallelism } from 'node:os';
import { WorkerClient } from '../../onnx/worker-client.ts';
import { readE5Files } from './e5.ts';
import type { E5Verbs, E5WorkerSetup } from './e5-worker.ts';
import { E5_PREFIXES, type Embedder } from './embedder.ts';

/** Texts of one call of the thread, so that an aborted batch ends soon. */
const TEXTS_A_CALL = 64;

/**
 * @param folder a Hugging Face folder: config.json, tokenizer.json, onnx/model.onnx or model.onnx
 * @throws UserError naming what is missing or does not fit
 */
export async function openE5Embedder(
  folder: string,
  { threads = availableParallelism() }: { threads?: number | undefined } = {},
): Promise<Embedder> {
  const files = await readE5Files(folder);
  // Beside this file lies the worker's source, or, when built, its JavaScript.
  const script = new URL(import.meta.url.endsWith('.ts') ? './e5-worker.ts' : './e5-worker.js', import.meta.url);
  const client = new WorkerClient<E5Verbs>(script, { files, threads } satisfies E5WorkerSetup, 'embedder');
  try {
    await client.ready();
    await client.call('open', []);
  } catch (error) {
    await client.close();
    throw error;
  }
  return {
    info: { name: folder, dimension: files.dimension, hash: files.hash, prefixes: E5_PREFIXES },
    async embed(texts, role, signal) {
      const vectors = new Float32Array(texts.length * files.dimension);
      for (let start = 0; start < texts.length; start += TEXTS_A_CALL) {
        const part = texts.slice(start, start + TEXTS_A_CALL).map((text) => E5_PREFIXES[role] + text);
        vectors.set(await client.call('embed', [part], signal), start * files.dimension);
      }
      return vectors;
    },
    close: () => client.close(),
  };
}
