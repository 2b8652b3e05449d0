/** The manifest of a dense index: what made the vectors, what they are of, and checksums. Written last. */
import path from 'node:path';
import { z } from 'zod';
import { readRecord, writeRecord } from '../record.ts';
import type { EmbedderInfo } from './embedder.ts';
import { passageFilesSchema } from './passage-files.ts';
import { LARGEST_DIMENSION, vectorLayoutSchema } from './vector-file.ts';

export const DENSE_KIND = 'search-e1 dense index';
const SCHEMA = 1;

const embedderSchema = z.strictObject({
  /** A model's folder, or http://HOST:PORT/v1#MODEL. */
  name: z.string().min(1),
  dimension: z.int().positive().max(LARGEST_DIMENSION),
  /** SHA-256 of a local model's files; '' for a served one. */
  hash: z.string(),
  prefixes: z.strictObject({ query: z.string(), passage: z.string() }),
}) satisfies z.ZodType<EmbedderInfo>;

const manifestSchema = z.strictObject({
  kind: z.literal(DENSE_KIND),
  schema: z.literal(SCHEMA),
  corpus: passageFilesSchema,
  embedder: embedderSchema,
  /** flat: vectors.bin, as `layout` says; lancedb: the table in lancedb/. */
  vectors: z.discriminatedUnion('store', [
    z.strictObject({ store: z.literal('flat'), layout: vectorLayoutSchema }),
    z.strictObject({
      store: z.literal('lancedb'),
      partitions: z
        .int()
        .positive()
        .max(2 ** 24),
    }),
  ]),
});
export type DenseManifest = Readonly<z.infer<typeof manifestSchema>>;

/** What an unfinished build has done. */
const progressSchema = z.strictObject({
  schema: z.literal(SCHEMA),
  corpusHash: z.string(),
  embedder: embedderSchema,
  layout: vectorLayoutSchema,
});
export type DenseProgress = Readonly<z.infer<typeof progressSchema>>;

export const MANIFEST_FILE = 'manifest.json';
export const PROGRESS_FILE = 'building.json';

const HINT = 'Build the index again with this version.';

/** @throws UserError when the manifest is missing, damaged, or of another version */
export function readDenseManifest(folder: string): Promise<DenseManifest> {
  return readRecord(path.join(folder, MANIFEST_FILE), manifestSchema, HINT);
}

export async function writeDenseManifest(
  folder: string,
  contents: Omit<DenseManifest, 'kind' | 'schema'>,
): Promise<void> {
  await writeRecord(path.join(folder, MANIFEST_FILE), { kind: DENSE_KIND, schema: SCHEMA, ...contents });
}

export function readProgress(folder: string): Promise<DenseProgress> {
  return readRecord(path.join(folder, PROGRESS_FILE), progressSchema, HINT);
}

export async function writeProgress(folder: string, contents: Omit<DenseProgress, 'schema'>): Promise<void> {
  await writeRecord(path.join(folder, PROGRESS_FILE), { schema: SCHEMA, ...contents });
}
