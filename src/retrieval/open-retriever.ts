/** Opens any retriever by the one word that a user gives for it. */
import { stat } from 'node:fs/promises';
import { fileError } from '../base/files.ts';
import { Bm25Index } from './bm25.ts';
import { loadCorpus } from './corpus.ts';
import { DiskBm25 } from './disk-bm25.ts';
import { openHttpRetriever } from './http/client.ts';
import type { Retriever } from './retriever.ts';

/** A retriever with whatever it holds open: threads, files, connections. */
export type OpenRetriever = Retriever & { close(): Promise<void> };

/**
 * @param spec an index directory; a corpus file (JSONL, JSONL.gz or Parquet), ranked by BM25 in memory; the URL of a retrieval server
 * @throws UserError naming what cannot be opened, and why
 */
export async function openRetriever(spec: string): Promise<OpenRetriever> {
  if (/^https?:\/\//.test(spec)) return openHttpRetriever(spec);
  const found = await stat(spec).catch((error) => {
    throw fileError(error, spec, 'read');
  });
  if (found.isDirectory()) return DiskBm25.open(spec);
  const index = new Bm25Index(await loadCorpus([spec]), { analyzer: 'english' });
  return Object.assign(index, { close: async () => {} });
}
