import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { capture } from './testing/capture.ts';

let folder: string;
const file = (name: string) => path.join(folder, name);
const lines = (name: string, rows: readonly unknown[]) =>
  writeFile(file(name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'index-eval-'));
  await lines('corpus.jsonl', [
    { _id: 'd1', title: '', text: 'oslo fjord' },
    { _id: 'd2', title: '', text: 'oslo oslo harbour' },
    { _id: 'd3', title: '', text: 'paris seine' },
  ]);
  await lines('queries.jsonl', [
    { _id: 'q1', text: 'oslo' },
    { _id: 'q2', text: 'seine' },
    { _id: 'q3', text: 'rome' },
  ]);
  await writeFile(file('qrels.tsv'), 'query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td3\t1\nq1\td2\t0\nq2\td3\t1\n');
  await lines('questions.jsonl', [
    { id: 'a', question: 'fjord of oslo', answers: ['x'], gold_ids: ['d1', 'd2'] },
    { id: 'b', question: 'seine', answers: ['x'] },
  ]);
  await capture('index', 'build', '--corpus', file('corpus.jsonl'), '--out', file('index'), '--workers', '1');
});
afterAll(() => rm(folder, { recursive: true }));

const evaluate = (...more: string[]) => capture('index', 'eval', file('index'), ...more);

test('BEIR layout: the means over judged queries, the others counted', async () => {
  const { code, out } = await evaluate('--queries', file('queries.jsonl'), '--qrels', file('qrels.tsv'), '--json');
  expect(code).toBe(0);
  const { scores, unjudged, index } = JSON.parse(out);
  expect([unjudged, scores.queries, index.passages]).toEqual([1, 2, 3]);
  // q1 finds d2 (grade 0), then d1 (grade 2), and misses d3; q2 finds its only one first.
  const q1 = 2 / Math.log2(3) / (2 + 1 / Math.log2(3));
  expect(scores.ndcg10).toBeCloseTo((q1 + 1) / 2, 12);
  expect(scores.mrr10).toBeCloseTo((1 / 2 + 1) / 2, 12);
  expect(scores.recall).toEqual([5, 20, 100, 1000].map((k) => ({ k, recall: 0.75 })));
});

test('question files: gold_ids; other settings at opening', async () => {
  const { out } = await evaluate('--queries', file('questions.jsonl'), '--k1', '2');
  expect(out).toContain('bm25 over 3 passages, analyzer english, k1 2, b 0.4, length lucene');
  expect(out).toContain('1 queries, 1 without a relevant passage left out');
  expect(out).toMatch(/recall@5 +1\.0000/);
});

test('bad qrels and queries are refused with file and line', async () => {
  await writeFile(file('bad.tsv'), 'query-id\tcorpus-id\tscore\nq1 d1 two\n');
  const bad = await evaluate('--queries', file('queries.jsonl'), '--qrels', file('bad.tsv'));
  expect([bad.code, bad.err]).toEqual([
    2,
    expect.stringContaining('bad.tsv:2: expected query, passage and a whole grade'),
  ]);
  await lines('nameless.jsonl', [{ text: 'oslo' }]);
  const nameless = await evaluate('--queries', file('nameless.jsonl'));
  expect([nameless.code, nameless.err]).toEqual([2, expect.stringContaining('nameless.jsonl:1: _id: expected')]);
  const foreign = await evaluate('--queries', file('queries.jsonl'));
  expect([foreign.code, foreign.err]).toEqual([2, expect.stringContaining('none of 3 queries has a relevant passage')]);
});

test('judgements that do not fit corpus or queries are counted, and refused when none fits', async () => {
  await writeFile(file('partly.tsv'), 'q1\td1\t1\nq1\tnowhere\t1\nq9\td3\t1\n');
  const partly = await evaluate('--queries', file('queries.jsonl'), '--qrels', file('partly.tsv'));
  expect(partly.out).toContain('note: relevant passages that are not in this index, and count as missed: 1\n');
  expect(partly.out).toContain('note: judged queries that are not in the file of queries, and do not count: 1\n');
  expect(partly.out).toMatch(/recall@5 +0\.5000/);
  await writeFile(file('foreign.tsv'), 'q1\tnowhere\t1\n');
  const foreign = await evaluate('--queries', file('queries.jsonl'), '--qrels', file('foreign.tsv'));
  expect([foreign.code, foreign.err]).toEqual([
    2,
    expect.stringContaining('foreign.tsv: none of the 1 relevant passages is in this index'),
  ]);
});

test('a passage with the id of the query is told of, and left out when that is asked for', async () => {
  await lines('own.jsonl', [{ _id: 'd2', text: 'oslo harbour' }]);
  await writeFile(file('own.tsv'), 'd2\td1\t1\n');
  const arguments_ = ['--queries', file('own.jsonl'), '--qrels', file('own.tsv')];
  expect((await evaluate(...arguments_)).out).toMatch(
    /MRR@10 +0\.5000[\s\S]*which BEIR leaves out \(--leave-out-own\): 1\n/,
  );
  expect((await evaluate(...arguments_, '--leave-out-own')).out).toMatch(
    /MRR@10 +1\.0000[\s\S]*which was left out: 1\n/,
  );
});

test('equal scores by id, as Pyserini has them', async () => {
  await lines(
    'ties.jsonl',
    Array.from({ length: 12 }, (_, i) => ({ id: `${i}`, text: 'mayor noon' })),
  );
  const ids = async (...more: string[]) => {
    const { out } = await capture('index', 'search', file('ties.jsonl'), 'mayor noon', '-k', '5', '--json', ...more);
    return (JSON.parse(out) as { hits: { id: string }[] }).hits.map(({ id }) => id);
  };
  expect(await ids()).toEqual(['0', '1', '2', '3', '4']);
  expect(await ids('--ties', 'id')).toEqual(['0', '1', '10', '11', '2']);
});
