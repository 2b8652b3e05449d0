/**
 * How good a ranked list is, by the definitions of trec_eval, which BEIR, Anserini and Pyserini report.
 *
 *   DCG@k    = Σ_{rank ≤ k} grade / log2(rank + 1)        nDCG@k = DCG@k / DCG@k of the best possible list
 *   recall@k = relevant ones among the first k / all relevant ones
 *   RR@k     = 1 / rank of the first relevant one, 0 when it is not among the first k
 */

/** Grades above zero of a query's relevant passages, by id. */
export type Grades = ReadonlyMap<string, number>;

/** @param ids best first; @param grades at least one above zero */
export function ndcg(ids: readonly string[], grades: Grades, k: number): number {
  const best = [...grades.values()].sort((x, y) => y - x);
  return (
    dcg(
      ids.map((id) => grades.get(id) ?? 0),
      k,
    ) / dcg(best, k)
  );
}

function dcg(grades: readonly number[], k: number): number {
  return grades.slice(0, k).reduce((sum, grade, i) => sum + grade / Math.log2(i + 2), 0);
}

export function recall(ids: readonly string[], grades: Grades, k: number): number {
  return ids.slice(0, k).filter((id) => grades.has(id)).length / grades.size;
}

export function reciprocalRank(ids: readonly string[], grades: Grades, k: number): number {
  const first = ids.slice(0, k).findIndex((id) => grades.has(id));
  return first < 0 ? 0 : 1 / (first + 1);
}
