import { expect, test } from 'vitest';
import { Bm25Index } from '../bm25.ts';
import { evaluateRetriever } from './evaluate-retriever.ts';

const passages = [
  { id: 'q1', title: '', text: 'free speech should be limited' },
  { id: 'd2 ', title: '', text: 'speech limits are abused' },
  { id: 'd3', title: '', text: 'trees grow' },
];
const index = new Bm25Index(passages);
const queries = [
  { id: 'q1', text: passages[0]!.text, grades: new Map([['d2', 1]]) },
  { id: 'q2', text: 'trees', grades: new Map([['d3', 1]]) },
];

test('a query that is a passage itself finds itself first, and is left out where that is asked for', async () => {
  const { ownFound, mrr10, ndcg10 } = await evaluateRetriever(index, queries);
  expect([ownFound, mrr10]).toEqual([1, (1 / 2 + 1) / 2]);
  expect(ndcg10).toBeCloseTo((1 / Math.log2(3) + 1) / 2, 12);
  const without = await evaluateRetriever(index, queries, { leaveOutOwn: true });
  expect(without).toMatchObject({ ownFound: 1, mrr10: 1, ndcg10: 1 });
});

test('an index says which of some ids it has, blanks aside', async () => {
  expect(await index.has(new Set(['d2', 'd3', 'd4']))).toEqual(new Set(['d2', 'd3']));
});
