/** A dense index opened for searching: queries embedded, the nearest vectors found, their passages read. */
import path from 'node:path';
import { UserError } from '../../base/errors.ts';
import { isAddress } from '../../engines/openai/address.ts';
import { PassageStore } from '../index/passage-store.ts';
import type { Hit, Retriever, RetrieverInfo } from '../retriever.ts';
import { requireTrusted, type Trust } from '../trust.ts';
import { VECTORS_FILE } from './build.ts';
import type { Embedder } from './embedder.ts';
import { openFlatIndex } from './flat-index.ts';
import { LANCE_FOLDER, openLance, REFINE_FACTOR } from './lance.ts';
import { type DenseManifest, MANIFEST_FILE, readDenseManifest } from './manifest.ts';
import { openEmbedder } from './open-embedder.ts';
import { readPassageTable } from './passage-files.ts';
import type { VectorLayout } from './vector-file.ts';
import type { VectorIndex } from './vector-index.ts';

export interface DenseOptions extends Trust {
  /** Where the model is now: a folder or http://HOST:PORT/v1#MODEL; default: where it was when the index was built. */
  readonly embedder?: string | undefined;
  /** The environment variable that holds a served model's key. */
  readonly apiKeyEnv?: string | undefined;
  /** Threads of the model and of the search; default: all cores. */
  readonly threads?: number | undefined;
  /** Bytes of vectors kept in memory; default 1 GiB. */
  readonly memory?: number | undefined;
}

/** Queries whose passages are read between two turns of the event loop. */
const QUERIES_PER_TURN = 16;

export class DenseRetriever implements Retriever {
  readonly info: RetrieverInfo;
  readonly #embedder: Embedder;
  readonly #index: VectorIndex;
  readonly #passages: PassageStore;

  private constructor(info: RetrieverInfo, embedder: Embedder, index: VectorIndex, passages: PassageStore) {
    this.info = info;
    this.#embedder = embedder;
    this.#index = index;
    this.#passages = passages;
  }

  /** @throws UserError when the index is damaged, or the model cannot be opened or is not the one that made the vectors */
  static async open(folder: string, options: DenseOptions = {}): Promise<DenseRetriever> {
    const manifest = await readDenseManifest(folder);
    const { corpus, vectors } = manifest;
    if (vectors.store === 'flat') checkLayout(manifest, vectors.layout, folder);
    const table = readPassageTable(folder, corpus);
    const index =
      vectors.store === 'flat'
        ? await openFlatIndex(path.join(folder, VECTORS_FILE), vectors.layout, options)
        : await openLance(path.join(folder, LANCE_FOLDER), manifest.embedder.dimension, vectors.partitions);
    try {
      const embedder = await openSameEmbedder(folder, manifest, options);
      return new DenseRetriever(infoOf(manifest), embedder, index, new PassageStore(table));
    } catch (error) {
      await index.close();
      throw error;
    }
  }

  async search(queries: readonly string[], k: number, signal?: AbortSignal): Promise<Hit[][]> {
    if (!Number.isInteger(k) || k < 1) throw new RangeError(`k must be a whole number of at least 1, not ${k}`);
    const vectors = await this.#embedder.embed(queries, 'query', signal);
    const neighbours = await this.#index.search(vectors, k, signal);
    const results: Hit[][] = [];
    for (const [i, best] of neighbours.entries()) {
      if (i > 0 && i % QUERIES_PER_TURN === 0) await new Promise((resume) => setImmediate(resume));
      signal?.throwIfAborted();
      results.push(best.map(({ position, score }) => ({ passage: this.#passages.read(position), score })));
    }
    return results;
  }

  async close(): Promise<void> {
    await Promise.all([this.#embedder.close(), this.#index.close()]);
    this.#passages.close();
  }
}

/** One vector a passage, of the model's dimension. */
function checkLayout({ corpus, embedder }: DenseManifest, { count, dimension }: VectorLayout, folder: string): void {
  if (count !== corpus.passages || dimension !== embedder.dimension)
    throw new UserError(
      `${path.join(folder, MANIFEST_FILE)}: damaged, ${count} vectors of dimension ${dimension} for ${corpus.passages} passages and a model of dimension ${embedder.dimension}`,
      { hint: 'Build the index again.' },
    );
}

function infoOf({ corpus, embedder, vectors }: DenseManifest): RetrieverInfo {
  const { passages, corpusHash } = corpus;
  const model = { embedder: embedder.name, embedderHash: embedder.hash, dimension: embedder.dimension };
  const search =
    vectors.store === 'flat'
      ? { vectors: `flat ${vectors.layout.type}` }
      : { vectors: 'lancedb IVF_RQ', partitions: vectors.partitions, refine: REFINE_FACTOR };
  return { kind: 'dense', passages, corpusHash, settings: { ...model, ...search } };
}

async function openSameEmbedder(folder: string, { embedder: built }: DenseManifest, options: DenseOptions) {
  const { embedder: place = built.name, threads, apiKeyEnv } = options;
  if (options.embedder === undefined && isAddress(place))
    requireTrusted(place, path.join(folder, MANIFEST_FILE), options);
  const embedder = await openEmbedder(place, { threads, apiKeyEnv, prefixes: built.prefixes });
  const { dimension, hash } = embedder.info;
  // A served model has no hash: then the dimension is all there is to compare.
  if (dimension === built.dimension && (hash === built.hash || hash === '' || built.hash === '')) return embedder;
  await embedder.close();
  throw new UserError(`${place}: is not the model that made the vectors of ${folder} (${built.name})`, {
    hint: 'Give the same model with --embedder, or build the index again.',
  });
}
