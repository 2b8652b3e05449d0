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
  /** Queries in whose list a passage of the same id was found: the query's own text, as a rule. */
  readonly ownFound: number;
}

export interface EvaluateOptions {
  /** Leaves a passage with the query's own id out of its list, as BEIR does. */
  readonly leaveOutOwn?: boolean;
  readonly signal?: AbortSignal;
  readonly onDone?: (queries: number) => void;
}

/** Queries asked together. */
const BATCH = 32;

export async function evaluateRetriever(
  retriever: Pick<Retriever, 'search'>,
  queries: readonly JudgedQuery[],
  { leaveOutOwn = false, signal, onDone }: EvaluateOptions = {},
): Promise<RetrievalScores> {
  const deepest = DEPTHS.at(-1)!;
  const sums = { ndcg10: 0, mrr10: 0, recall: DEPTHS.map(() => 0) };
  let ownFound = 0;
  for (let start = 0; start < queries.length; start += BATCH) {
    const batch = queries.slice(start, start + BATCH);
    const lists = await retriever.search(
      batch.map((query) => query.text),
      deepest + (leaveOutOwn ? 1 : 0),
      signal,
    );
    for (const [i, { id, grades }] of batch.entries()) {
      const found = lists[i]!.map((hit) => hit.passage.id.trim());
      if (found.includes(id)) ownFound += 1;
      const ids = leaveOutOwn ? found.filter((passage) => passage !== id).slice(0, deepest) : found;
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
    ownFound,
  };
}
