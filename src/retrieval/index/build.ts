/**
 * Builds an index directory from corpus files:
 *
 *   corpus ─► passages on disk, and segments by worker processes (analyse-corpus.ts) ─► files of the index (merge.ts) ─► manifest
 *
 * All of it happens in a folder beside the target, named like it with `.partial`; the finished directory appears by a
 * rename. The bytes of the result depend on corpus, analyzer, k1, b and length form alone: not on the number of workers,
 * the memory, or interruptions.
 */
import { readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { hasCode, UserError } from '../../base/errors.ts';
import { fileError, makeFolder, readJson, syncFolder, writeFileAtomic } from '../../base/files.ts';
import { ANALYZER_VERSION, type AnalyzerName } from '../analyzer.ts';
import { type AnalyseProgress, analyseCorpus } from './analyse-corpus.ts';
import type { LengthForm } from './arrays.ts';
import { MANIFEST, type Manifest, readManifest, writeManifest } from './manifest.ts';
import { memoryPlan } from './memory-plan.ts';
import { mergeSegments } from './merge.ts';

export interface BuildOptions {
  /** JSONL, JSONL.gz or Parquet files, in this order. */
  readonly corpus: readonly string[];
  /** The directory to make; must not exist yet, or be empty. */
  readonly out: string;
  readonly analyzer: AnalyzerName;
  /** ≥ 0. */
  readonly k1: number;
  /** In [0, 1]. */
  readonly b: number;
  readonly length: LengthForm;
  /** Worker processes; as many as the memory allows up to the number of cores when not given. */
  readonly workers?: number;
  /** Bytes that all processes together stay within; workers and segments are sized for it (docs/retrieval.md). */
  readonly memory: number;
  /** Takes the error of each malformed line, which is passed over; without it the first one ends the build. */
  readonly onBad?: (error: UserError) => void;
  /** Told of each passage that has neither title nor text; it is kept, and never found. */
  readonly onBlank?: () => void;
  readonly onEvent?: (event: BuildEvent) => void;
  readonly signal?: AbortSignal;
  /** Bytes of passages in a segment, for tests of small corpora. */
  readonly segmentBytes?: number;
}

export type BuildEvent =
  | { readonly kind: 'start'; readonly workers: number; readonly continued: boolean }
  | ({ readonly kind: 'analysed' } & AnalyseProgress)
  | { readonly kind: 'merged'; readonly fraction: number };

/** gzip and Parquet files are smaller than their text, by about this. */
const COMPRESSION = 3;

/** The folder of an unfinished build. */
export const partialFolder = (out: string) => `${path.resolve(out)}.partial`;

/** @throws UserError for a bad corpus, a taken directory, too little memory, or a build that was begun with other arguments */
export async function buildIndex(options: BuildOptions): Promise<Manifest> {
  const { corpus, out, analyzer, k1, b, length, onBad, onBlank, onEvent, signal } = options;
  const work = partialFolder(out);
  const [segmentFolder, indexFolder] = [path.join(work, 'segments'), path.join(work, 'index')];
  await checkTarget(out);
  const sizes = await corpusSizes(corpus);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const corpusBytes = sizes.reduce(
    (sum, size, i) => sum + size * (/\.(gz|parquet)$/.test(corpus[i]!) ? COMPRESSION : 1),
    0,
  );
  const { workers, segmentBytes } = memoryPlan({ ...options, corpusBytes });
  const plan = {
    corpus: corpus.map((file) => path.resolve(file)),
    analyzer,
    analyzerVersion: ANALYZER_VERSION,
    k1,
    b,
    length,
    memory: options.memory,
    workers,
  };
  const continued = await claimPlan(work, segmentFolder, plan);
  onEvent?.({ kind: 'start', workers, continued });
  await makeFolder(indexFolder);

  const analysed = await analyseCorpus(segmentFolder, indexFolder, {
    files: corpus,
    bytes,
    analyzer,
    workers,
    segmentBytes,
    onBad,
    onBlank,
    signal,
    onProgress: (progress) => onEvent?.({ kind: 'analysed', ...progress }),
  });
  signal?.throwIfAborted();
  const merged = await mergeSegments(analysed.segments, segmentFolder, indexFolder, {
    k1,
    b,
    length,
    signal,
    onProgress: (fraction) => onEvent?.({ kind: 'merged', fraction }),
  });
  const { passages, corpusHash, files } = analysed;
  const { terms, postings, totalTerms } = merged;
  await writeManifest(indexFolder, {
    analyzer,
    analyzerVersion: ANALYZER_VERSION,
    k1,
    b,
    length,
    passages,
    terms,
    postings,
    totalTerms,
    corpusHash,
    files: { ...files, ...merged.files },
  });
  try {
    await rename(indexFolder, out);
    await syncFolder(path.dirname(path.resolve(out)));
    await rm(work, { recursive: true });
  } catch (error) {
    throw fileError(error, out, 'write');
  }
  return readManifest(out);
}

/** What is there already is never written over. */
async function checkTarget(out: string): Promise<void> {
  const entries = await readdir(out).catch((error: unknown): string[] => {
    if (hasCode(error, 'ENOENT')) return [];
    throw fileError(error, out, 'write');
  });
  if (entries.includes(MANIFEST))
    throw new UserError(`${out}: holds an index already`, {
      hint: 'Delete it, or choose another directory with --out.',
    });
  if (entries.length > 0) throw new UserError(`${out}: is not empty`, { hint: 'Choose another directory with --out.' });
}

async function corpusSizes(files: readonly string[]): Promise<number[]> {
  return Promise.all(
    files.map(async (file) => {
      const found = await stat(file).catch((error: unknown) => {
        throw fileError(error, file, 'read');
      });
      if (!found.isFile())
        throw new UserError(`${file}: is not a file`, { hint: 'Give JSONL, JSONL.gz or Parquet files.' });
      return found.size;
    }),
  );
}

const planSchema = z.strictObject({
  corpus: z.array(z.string()),
  analyzer: z.string(),
  analyzerVersion: z.number(),
  k1: z.number(),
  b: z.number(),
  length: z.string(),
  memory: z.number(),
  workers: z.number(),
});
type Plan = z.infer<typeof planSchema>;

/** Records what is being built; true when an interrupted build of the same has left segments to go on from. */
async function claimPlan(work: string, segmentFolder: string, plan: Plan): Promise<boolean> {
  await makeFolder(segmentFolder);
  const file = path.join(work, 'plan.json');
  if (!(await readdir(segmentFolder)).some((name) => name.endsWith('.json'))) {
    await writeFileAtomic(file, `${JSON.stringify(plan, null, 2)}\n`);
    return false;
  }
  const before = planSchema.safeParse(await readJson(file)).data;
  const other = (Object.keys(plan) as (keyof Plan)[]).filter(
    (key) => JSON.stringify(before?.[key]) !== JSON.stringify(plan[key]),
  );
  if (other.length > 0)
    throw new UserError(`${work}: holds an interrupted build with other arguments (${other.join(', ')})`, {
      hint: 'Continue it with the same arguments, or delete this folder to begin anew.',
    });
  return true;
}
