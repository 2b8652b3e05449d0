/** The manifest of an index directory: what the index is, and the size and checksum of each of its files. Written last. */
import path from 'node:path';
import { z } from 'zod';
import { hasCode, UserError } from '../../base/errors.ts';
import { fileError, readJson, sha256, writeFileAtomic } from '../../base/files.ts';
import { ANALYZER_VERSION } from '../analyzer.ts';

export const MANIFEST = 'manifest.json';
export const BM25_KIND = 'search-e1 bm25 index';
const SCHEMA = 1;

/** The files, one array each; see `IndexArrays`, `Impacts` and `PassageTable` for what they mean. */
export const FILES = {
  passages: 'passages.jsonl',
  passageEnds: 'passage-ends.f64',
  passageSums: 'passage-crcs.u32',
  lengths: 'lengths.u32',
  termBytes: 'terms.utf8',
  termEnds: 'term-ends.u32',
  termSlots: 'term-slots.u32',
  postingStarts: 'posting-starts.u32',
  positions: 'positions.u32',
  frequencies: 'frequencies.u8',
  largePostings: 'large-postings.u32',
  largeValues: 'large-frequencies.u32',
  blockMaxima: 'block-maxima.f32',
  thirdBest: 'third-best.f32',
  tenthBest: 'tenth-best.f32',
} as const;

export type FileName = (typeof FILES)[keyof typeof FILES];
export type PassageFile = (typeof FILES)['passages' | 'passageEnds' | 'passageSums'];

const count = z.int().nonnegative();

const contentsSchema = z.strictObject({
  kind: z.literal(BM25_KIND),
  schema: z.literal(SCHEMA),
  analyzer: z.enum(['english', 'words']),
  analyzerVersion: z.int(),
  /** What the persisted impacts were computed for; an index can be opened with others. */
  k1: z.number().nonnegative(),
  b: z.number().min(0).max(1),
  length: z.enum(['lucene', 'exact']),
  passages: z.int().positive(),
  terms: count,
  postings: count,
  totalTerms: count,
  /** SHA-256 of passages.jsonl: of one line `[id,title,text]` for each passage. */
  corpusHash: z.string(),
  /** By name: size, and CRC-32 of all bytes. */
  files: z.record(z.enum(Object.values(FILES)), z.strictObject({ bytes: count, crc32: count })),
});

/** What is known of an index before it is loaded. */
export type ManifestContents = z.infer<typeof contentsSchema>;

/** `fingerprint`: SHA-256 over all the rest, hence over the checksums of all files. */
export type Manifest = ManifestContents & { readonly fingerprint: string };

const hint = 'Build it again with `search-e1 index build --corpus FILE --out DIR`.';

export async function writeManifest(
  folder: string,
  contents: Omit<ManifestContents, 'kind' | 'schema'>,
): Promise<void> {
  const whole = contentsSchema.parse({ kind: BM25_KIND, schema: SCHEMA, ...contents });
  const manifest = { ...whole, fingerprint: fingerprintOf(whole) };
  await writeFileAtomic(path.join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** @throws UserError when the folder holds no index, one of another version or analyzer, or a damaged manifest */
export async function readManifest(folder: string): Promise<Manifest> {
  const file = path.join(folder, MANIFEST);
  const value = await readJson(file).catch((error: unknown) => {
    throw hasCode((error as Error).cause, 'ENOENT', 'ENOTDIR')
      ? new UserError(`${folder}: not a search index (no ${MANIFEST})`, { hint })
      : fileError(error, file, 'read');
  });
  const head = z.looseObject({ kind: z.string(), schema: z.number() }).safeParse(value).data;
  if (head?.kind !== BM25_KIND) throw new UserError(`${file}: this is not the manifest of a search index`, { hint });
  if (head.schema !== SCHEMA)
    throw new UserError(`${file}: an index of schema ${head.schema}, this version reads schema ${SCHEMA}`, { hint });
  const parsed = contentsSchema.extend({ fingerprint: z.string() }).safeParse(value);
  if (!parsed.success) throw new UserError(`${file}: damaged (${z.prettifyError(parsed.error)})`, { hint });
  const { fingerprint, ...contents } = parsed.data;
  if (fingerprint !== fingerprintOf(contents))
    throw new UserError(`${file}: damaged, its contents do not agree with its fingerprint`, { hint });
  if (contents.analyzerVersion !== ANALYZER_VERSION)
    throw new UserError(
      `${file}: built with version ${contents.analyzerVersion} of the analyzer, this is version ${ANALYZER_VERSION}`,
      { hint },
    );
  return parsed.data;
}

function fingerprintOf(contents: ManifestContents): string {
  return sha256(JSON.stringify(contents));
}
