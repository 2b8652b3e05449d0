/** The means of the measures over all judged queries. */
import type { Retriever } from '../retriever.ts';
import type { JudgedQuery } from './judgements.ts';
import { ndcg, recall, reciprocalRank } from './measures.ts';

/** Recall is measured at these depths; the last one is how many passages are asked for. */
export const DEPTHS = [5, 20, 100, 1000] as const;

export interface RetrievalScores {
  readonly queries: number;
  readonly ndcg10: number;
  readonly mrr10: number;
  /** By depth. */
  readonly recall: readonly { readonly k: number; readonly recall: number }[];
}

/** Queries asked together. */
const BATCH = 32;

export async function evaluateRetriever(
  retriever: Pick<Retriever, 'search'>,
  queries: readonly JudgedQuery[],
  { signal, onDone }: { signal?: AbortSignal; onDone?: (queries: number) => void } = {},
): Promise<RetrievalScores> {
  const sums = { ndcg10: 0, mrr10: 0, recall: DEPTHS.map(() => 0) };
  for (let start = 0; start < queries.length; start += BATCH) {
    const batch = queries.slice(start, start + BATCH);
    const lists = await retriever.search(
      batch.map((query) => query.text),
      DEPTHS.at(-1)!,
      signal,
    );
    for (const [i, { grades }] of batch.entries()) {
      const ids = lists[i]!.map((hit) => hit.passage.id);
      sums.ndcg10 += ndcg(ids, grades, 10);
      sums.mrr10 += reciprocalRank(ids, grades, 10);
      for (const [d, k] of DEPTHS.entries()) sums.recall[d]! += recall(ids, grades, k);
    }
    onDone?.(start + batch.length);
  }
  const mean = (sum: number) => sum / queries.length;
  return {
    queries: queries.length,
    ndcg10: mean(sums.ndcg10),
    mrr10: mean(sums.mrr10),
    recall: DEPTHS.map((k, d) => ({ k, recall: mean(sums.recall[d]!) })),
  };
}
