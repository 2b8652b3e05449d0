/** A retriever that remembers what it found: rollouts keep ids and titles, recall is asked of the passages' text. */
import type { Hit, Retriever } from '../retrieval/retriever.ts';

export function remembering(retriever: Pick<Retriever, 'search'>) {
  const found: Hit[][] = [];
  const search: Retriever['search'] = async (queries, k, signal) => {
    const lists = await retriever.search(queries, k, signal);
    found.push(...lists);
    return lists;
  };
  return { search, found };
}
