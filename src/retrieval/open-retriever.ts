/** Opens any retriever by the one word that a user gives for it. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { fileError, readJson } from '../base/files.ts';
import { Bm25Index } from './bm25.ts';
import { loadCorpus } from './corpus.ts';
import { DenseRetriever } from './dense/dense-retriever.ts';
import { DENSE_KIND } from './dense/manifest.ts';
import { DiskBm25 } from './disk-bm25.ts';
import { openHttpRetriever } from './http/client.ts';
import { HybridRetriever } from './hybrid.ts';
import { HYBRID_KIND, readLegs } from './hybrid-manifest.ts';
import { OPENSEARCH_KIND } from './opensearch/manifest.ts';
import { OpenSearchRetriever } from './opensearch/opensearch-retriever.ts';
import type { OpenRetriever } from './retriever.ts';

/**
 * @param spec an index directory of any kind (BM25, dense, hybrid, OpenSearch); a corpus file (JSONL, JSONL.gz or Parquet),
 * ranked by BM25 in memory; the URL of a retrieval server
 * @throws UserError naming what cannot be opened, and why
 */
export async function openRetriever(spec: string): Promise<OpenRetriever> {
  if (/^https?:\/\//.test(spec)) return openHttpRetriever(spec);
  const found = await stat(spec).catch((error) => {
    throw fileError(error, spec, 'read');
  });
  if (found.isDirectory()) return openDirectory(spec);
  return new Bm25Index(await loadCorpus([spec]), { analyzer: 'english' });
}

async function openDirectory(folder: string): Promise<OpenRetriever> {
  switch (await indexKind(folder)) {
    case DENSE_KIND:
      return DenseRetriever.open(folder);
    case OPENSEARCH_KIND:
      return OpenSearchRetriever.open(folder);
    case HYBRID_KIND:
      return openHybrid(await readLegs(folder));
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

/** Two retrievers as one. @throws UserError when one cannot be opened, or they search different corpora */
export async function openHybrid(specs: readonly [string, string]): Promise<HybridRetriever> {
  const legs: OpenRetriever[] = [];
  try {
    for (const spec of specs) legs.push(await openRetriever(spec));
    return new HybridRetriever(legs[0]!, legs[1]!);
  } catch (error) {
    await Promise.all(legs.map((leg) => leg.close()));
    throw error;
  }
}
