/** The manifest of a corpus that was loaded into OpenSearch: where it is, what it holds, how it is ranked. */
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../base/errors.ts';
import { readJson, writeFileAtomic } from '../../base/files.ts';

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

/** @throws UserError when the manifest is missing, damaged, or of another version */
export function readOpenSearchManifest(folder: string): Promise<OpenSearchManifest> {
  return read(path.join(folder, MANIFEST_FILE), manifestSchema);
}

export async function writeOpenSearchManifest(
  folder: string,
  contents: Omit<OpenSearchManifest, 'kind' | 'schema'>,
): Promise<void> {
  await write(path.join(folder, MANIFEST_FILE), { kind: OPENSEARCH_KIND, schema: SCHEMA, ...contents });
}

export function readLoadProgress(folder: string): Promise<LoadProgress> {
  return read(path.join(folder, PROGRESS_FILE), progressSchema);
}

export async function writeLoadProgress(folder: string, contents: Omit<LoadProgress, 'schema'>): Promise<void> {
  await write(path.join(folder, PROGRESS_FILE), { schema: SCHEMA, ...contents });
}

async function read<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(await readJson(file));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new UserError(`${file}: damaged or of another version (${issue.path.join('.')}: ${issue.message})`, {
    hint: 'Load the corpus again with this version.',
  });
}

async function write(file: string, value: unknown): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(value)}\n`);
}
