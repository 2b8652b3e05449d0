/** Opens any retriever by the one word that a user gives for it. */
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { fileError, readJson } from '../base/files.ts';
import { Bm25Index } from './bm25.ts';
import { loadCorpus } from './corpus.ts';
import { DenseRetriever } from './dense/dense-retriever.ts';
import { DENSE_KIND } from './dense/manifest.ts';
import { DiskBm25 } from './disk-bm25.ts';
import { openHttpRetriever } from './http/client.ts';
import { HybridRetriever } from './hybrid.ts';
import { HYBRID_KIND, isUrl, readLegs } from './hybrid-manifest.ts';
import { OPENSEARCH_KIND } from './opensearch/manifest.ts';
import { OpenSearchRetriever } from './opensearch/opensearch-retriever.ts';
import type { OpenRetriever } from './retriever.ts';
import { requireTrusted, type Trust } from './trust.ts';

/** Hybrids within hybrids that are opened. */
const DEPTH = 4;

/**
 * @param spec an index directory of any kind (BM25, dense, hybrid, OpenSearch); a corpus file (JSONL, JSONL.gz or Parquet),
 * ranked by BM25 in memory; the URL of a retrieval server
 * @param trust servers that an index directory may name (trust.ts)
 * @throws UserError naming what cannot be opened, and why
 */
export async function openRetriever(spec: string, trust: Trust = {}): Promise<OpenRetriever> {
  return openWithin(spec, trust, []);
}

/** @param above the directories of the hybrids that this is a leg of */
async function openWithin(spec: string, trust: Trust, above: readonly string[]): Promise<OpenRetriever> {
  if (isUrl(spec)) return openHttpRetriever(spec);
  const found = await stat(spec).catch((error) => {
    throw fileError(error, spec, 'read');
  });
  if (found.isDirectory()) return openDirectory(spec, trust, above);
  // What a file names is not read from a pipe or a device, which may never end.
  if (above.length > 0 && !found.isFile())
    throw new UserError(`${spec}: is neither a file nor a directory`, {
      hint: 'A leg is an index, a corpus file or a server.',
    });
  return new Bm25Index(await loadCorpus([spec]), { analyzer: 'english' });
}

async function openDirectory(folder: string, trust: Trust, above: readonly string[]): Promise<OpenRetriever> {
  switch (await indexKind(folder)) {
    case DENSE_KIND:
      return DenseRetriever.open(folder, trust);
    case OPENSEARCH_KIND:
      return OpenSearchRetriever.open(folder, trust);
    case HYBRID_KIND:
      return openHybridDirectory(folder, trust, above);
    // Also says what is wrong with a directory that is no index.
    default:
      return DiskBm25.open(folder);
  }
}

/** What the manifest of a directory says that it is; undefined when there is none to be read. */
export async function indexKind(folder: string): Promise<string | undefined> {
  const manifest = await readJson(path.join(folder, 'manifest.json')).catch(() => undefined);
  return z.looseObject({ kind: z.string() }).safeParse(manifest).data?.kind;
}

async function openHybridDirectory(folder: string, trust: Trust, above: readonly string[]): Promise<HybridRetriever> {
  const place = await realpath(folder);
  if (above.includes(place) || above.length >= DEPTH)
    throw new UserError(
      `${folder}: ${above.includes(place) ? 'this hybrid is a leg of itself' : `hybrids within hybrids, more than ${DEPTH} deep`}`,
      { hint: 'Make it again of two retrievers: search-e1 index build --kind hybrid --legs DIR DIR --out DIR' },
    );
  const legs = await readLegs(folder);
  for (const leg of legs) if (isUrl(leg)) requireTrusted(leg, folder, trust);
  return openLegs(legs, trust, [...above, place]);
}

/** Two retrievers as one. @throws UserError when one cannot be opened, or they search different corpora */
export function openHybrid(specs: readonly [string, string], trust: Trust = {}): Promise<HybridRetriever> {
  return openLegs(specs, trust, []);
}

async function openLegs(
  specs: readonly [string, string],
  trust: Trust,
  above: readonly string[],
): Promise<HybridRetriever> {
  const legs: OpenRetriever[] = [];
  try {
    for (const spec of specs) legs.push(await openWithin(spec, trust, above));
    return new HybridRetriever(legs[0]!, legs[1]!);
  } catch (error) {
    await Promise.all(legs.map((leg) => leg.close()));
    throw error;
  }
}
