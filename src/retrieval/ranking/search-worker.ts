/** A thread that ranks: one chunk of queries at a time, over arrays that all threads share. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Impacts, IndexArrays } from '../index/arrays.ts';
import type { QueryTerm } from './formula.ts';
import { Ranker, type RankingSettings } from './ranker.ts';
import type { Ranked } from './top.ts';

export interface SearchWorkerData {
  readonly arrays: IndexArrays;
  readonly impacts: Impacts;
  readonly settings: RankingSettings;
}

export interface Chunk {
  readonly queries: readonly (readonly QueryTerm[])[];
  readonly k: number;
}

const { arrays, impacts, settings } = workerData as SearchWorkerData;
const ranker = new Ranker(arrays, settings, impacts);

parentPort!.on('message', ({ queries, k }: Chunk) => {
  const lists: Ranked[] = queries.map((terms) => ranker.rank(terms, k));
  parentPort!.postMessage(lists);
});
