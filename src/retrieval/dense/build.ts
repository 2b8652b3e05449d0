/**
 * Builds a dense index: first the passages' files, then their vectors, some hundred at a time. What was embedded is
 * kept: a build that was interrupted goes on where it was when it is called again with the same corpus and model.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../base/errors.ts';
import { makeFolder } from '../../base/files.ts';
import { PassageStore } from '../index/passage-store.ts';
import type { Passage } from '../retriever.ts';
import { type Embedder, passageText } from './embedder.ts';
import type { FaissFlat } from './faiss.ts';
import { buildLance, LANCE_FOLDER } from './lance.ts';
import {
  type DenseManifest,
  MANIFEST_FILE,
  PROGRESS_FILE,
  readProgress,
  writeDenseManifest,
  writeProgress,
} from './manifest.ts';
import { type PassageFiles, readPassageTable, writePassages } from './passage-files.ts';
import { emptyLayout, type VectorLayout, type VectorType, VectorWriter } from './vector-file.ts';

/** The vectors of a flat index. */
export const VECTORS_FILE = 'vectors.bin';
/** Passages of one call of the embedder. */
const PASSAGES_AT_ONCE = 256;

export interface DenseBuild {
  /** Where the index goes. */
  readonly folder: string;
  readonly corpus: AsyncIterable<Passage>;
  /** Makes the vectors of the passages, and of the queries later on. */
  readonly embedder: Embedder;
  /** Vectors made elsewhere, in the order of the corpus, by the embedder's model. */
  readonly faiss?: FaissFlat | undefined;
  /** float16 halves the file; scores are off by 0.05 % at most. */
  readonly type: VectorType;
  readonly store: DenseManifest['vectors']['store'];
  readonly onProgress?: (done: number, passages: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws UserError when the folder holds a finished index, or an unfinished one of another corpus or model, or the
 * vectors do not fit passages or model
 */
export async function buildDenseIndex(build: DenseBuild): Promise<void> {
  const { folder, embedder, faiss, store } = build;
  if (existsSync(path.join(folder, MANIFEST_FILE)))
    throw new UserError(`${folder}: holds a finished index`, { hint: 'Choose another directory.' });
  if (faiss !== undefined && faiss.dimension !== embedder.info.dimension)
    throw new UserError(
      `the vectors have the dimension ${faiss.dimension}, the model's have ${embedder.info.dimension}`,
      { hint: 'Give the model that made the vectors.' },
    );
  if (store === 'lancedb' && embedder.info.dimension % 8 !== 0)
    throw new UserError(
      `LanceDB wants a dimension that is a multiple of 8, this model has ${embedder.info.dimension}`,
      {
        hint: 'Build a flat index.',
      },
    );
  await makeFolder(folder);
  const corpus = await writePassages(folder, build.corpus, build.signal);
  if (faiss !== undefined && faiss.count !== corpus.passages)
    throw new UserError(`there are ${faiss.count} vectors for ${corpus.passages} passages`, {
      hint: 'Give the corpus that the vectors were made of, with all its lines.',
    });
  const layout = faiss === undefined ? await embedAll(build, corpus) : await copyAll(build, faiss);
  const file = path.join(folder, VECTORS_FILE);
  const vectors =
    store === 'flat'
      ? { store, layout }
      : { store, partitions: await buildLance(path.join(folder, LANCE_FOLDER), file, layout, build.signal) };
  await writeDenseManifest(folder, { corpus, embedder: embedder.info, vectors });
  if (store !== 'flat') await rm(file);
  await rm(path.join(folder, PROGRESS_FILE), { force: true });
}

async function embedAll(build: DenseBuild, corpus: PassageFiles): Promise<VectorLayout> {
  const { folder, embedder, onProgress, signal } = build;
  const { corpusHash, passages } = corpus;
  const store = new PassageStore(readPassageTable(folder, corpus));
  const writer = await VectorWriter.open(path.join(folder, VECTORS_FILE), await startingLayout(build, corpusHash));
  try {
    for (let start = writer.count; start < passages; start += PASSAGES_AT_ONCE) {
      onProgress?.(start, passages);
      signal?.throwIfAborted();
      const texts: string[] = [];
      for (let i = start; i < Math.min(passages, start + PASSAGES_AT_ONCE); i++) texts.push(passageText(store.read(i)));
      await writer.append(await embedder.embed(texts, 'passage', signal));
      await writeProgress(folder, { corpusHash, embedder: embedder.info, layout: await writer.save() });
    }
    const layout = await writer.finish();
    onProgress?.(passages, passages);
    return layout;
  } catch (error) {
    await writer.abandon();
    throw error;
  } finally {
    store.close();
  }
}

/** Where an interrupted build of the very same index stands; empty for a new one. */
async function startingLayout({ folder, embedder, type }: DenseBuild, corpusHash: string): Promise<VectorLayout> {
  const file = path.join(folder, PROGRESS_FILE);
  if (!existsSync(file)) return emptyLayout(embedder.info.dimension, type);
  const { layout, ...before } = await readProgress(folder);
  const differs =
    (before.corpusHash !== corpusHash && 'another corpus') ||
    (modelOf(before.embedder) !== modelOf(embedder.info) && `another model, ${before.embedder.name}`) ||
    (layout.type !== type && `vectors of ${layout.type}`);
  if (differs)
    throw new UserError(`${folder}: holds an unfinished index of ${differs}`, {
      hint: `Go on with the same files and options, choose another directory, or delete ${file} to begin again.`,
    });
  return layout;
}

/** What vectors depend on. A local model may have been moved. */
function modelOf({ name, hash, dimension, prefixes }: Embedder['info']): string {
  return JSON.stringify([hash === '' ? name : hash, dimension, prefixes.passage]);
}

async function copyAll({ folder, type, onProgress, signal }: DenseBuild, faiss: FaissFlat): Promise<VectorLayout> {
  const writer = await VectorWriter.open(path.join(folder, VECTORS_FILE), emptyLayout(faiss.dimension, type));
  try {
    let done = 0;
    for await (const rows of faiss.rows()) {
      signal?.throwIfAborted();
      await writer.append(rows);
      done += rows.length / faiss.dimension;
      onProgress?.(done, faiss.count);
    }
    return await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}
