/** The manifest of a corpus that was loaded into OpenSearch: where it is, what it holds, how it is ranked. */
import path from 'node:path';
import { z } from 'zod';
import { readRecord, writeRecord } from '../record.ts';

export const OPENSEARCH_KIND = 'search-e1 opensearch index';
const SCHEMA = 1;

const targetSchema = z.strictObject({
  /** http://HOST:PORT of a node. */
  url: z.string().min(1),
  /** The index's name there. */
  index: z.string().min(1),
  k1: z.number().nonnegative(),
  b: z.number().min(0).max(1),
});
export type OpenSearchTarget = Readonly<z.infer<typeof targetSchema>>;

const manifestSchema = targetSchema.extend({
  kind: z.literal(OPENSEARCH_KIND),
  schema: z.literal(SCHEMA),
  passages: z.int().positive(),
  corpusHash: z.string().length(64),
});
export type OpenSearchManifest = Readonly<z.infer<typeof manifestSchema>>;

const progressSchema = z.strictObject({
  schema: z.literal(SCHEMA),
  target: targetSchema,
  /** Passages that the server has confirmed, and the corpus hash of these alone. */
  loaded: z.int().nonnegative(),
  hash: z.string(),
});
export type LoadProgress = Readonly<z.infer<typeof progressSchema>>;

export const MANIFEST_FILE = 'manifest.json';
export const PROGRESS_FILE = 'loading.json';

const HINT = 'Load the corpus again with this version.';

/** @throws UserError when the manifest is missing, damaged, or of another version */
export function readOpenSearchManifest(folder: string): Promise<OpenSearchManifest> {
  return readRecord(path.join(folder, MANIFEST_FILE), manifestSchema, HINT);
}

export async function writeOpenSearchManifest(
  folder: string,
  contents: Omit<OpenSearchManifest, 'kind' | 'schema'>,
): Promise<void> {
  await writeRecord(path.join(folder, MANIFEST_FILE), { kind: OPENSEARCH_KIND, schema: SCHEMA, ...contents });
}

export function readLoadProgress(folder: string): Promise<LoadProgress> {
  return readRecord(path.join(folder, PROGRESS_FILE), progressSchema, HINT);
}

export async function writeLoadProgress(folder: string, contents: Omit<LoadProgress, 'schema'>): Promise<void> {
  await writeRecord(path.join(folder, PROGRESS_FILE), { schema: SCHEMA, ...contents });
}
