import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readJudgedQueries } from './judgements.ts';
import { readQrels } from './qrels.ts';

let folder: string;
let made = 0;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'qrels-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(text: string | Buffer): Promise<string> {
  const file = path.join(folder, `${++made}`);
  await writeFile(file, text);
  return file;
}
const read = async (text: string) =>
  Object.fromEntries(
    [...(await readQrels(await fileOf(text)))].map(([query, own]) => [query, Object.fromEntries(own)]),
  );

const two = { q1: { d2: 1 }, q2: { d3: 2 } };

describe('the same judgements', () => {
  test.each([
    ["BEIR's", 'query-id\tcorpus-id\tscore\nq1\td2\t1\nq2\td3\t2\n'],
    ['without names', 'q1\td2\t1\nq2\td3\t2'],
    ['behind a byte order mark', '\ufeffq1\td2\t1\nq2\td3\t2\n'],
    ['names behind a byte order mark', '\ufeffquery-id\tcorpus-id\tscore\nq1\td2\t1\nq2\td3\t2\n'],
    ['other names', 'query_id\tcorpus_id\tscore\nq1\td2\t1\nq2\td3\t2\n'],
    ['names in capitals', 'Query-ID\tCorpus-ID\tScore\nq1\td2\t1\nq2\td3\t2\n'],
    ['lines that end in CR LF', 'query-id\tcorpus-id\tscore\r\nq1\td2\t1\r\nq2\td3\t2\r\n'],
    ['blanks behind ids', 'q1 \td2\t1\nq2\td3 \t2 \n'],
    ['grades with a point', 'q1\td2\t1.0\nq2\td3\t2.\n'],
    ['blanks between', 'q1 d2 1\nq2   d3 2\n'],
    ["TREC's", 'q1 0 d2 1\nq2 0 d3 2\n'],
    ["TREC's with tabs", 'q1\t0\td2\t1\nq2\tQ0\td3\t2\n'],
    ["TREC's with names", 'topic iteration doc relevance\nq1 0 d2 1\nq2 0 d3 2\n'],
    ['JSON', '{"q1": {"d2": 1},\n "q2": {"d3": 2}}'],
    ['the same twice', 'q1\td2\t1\nq2\td3\t2\nq1\td2\t1\n'],
    ['passages that are not relevant', 'q1\td2\t1\nq1\td9\t0\nq2\td3\t2\nq2\td8\t-1\n'],
  ])('%s', async (_name, text) => {
    expect(await read(text)).toEqual(two);
  });
});

describe('refused', () => {
  test.each([
    [
      'two grades',
      'q1\td2\t1\nq1\td3\t1\nq1\td2\t0\n',
      /"q1" and passage "d2" have two grades: 1 \(line 1\) and 0 \(line 3\)/,
    ],
    ['two columns', 'q1\td2\n', /:1: expected query, passage and a whole grade/],
    ['five columns', 'q1 0 d2 1 x\n', /:1: expected query/],
    ['a grade that is none', 'q1\td2\t1\nq1\td3\thigh\n', /:2: expected query/],
    ['half a grade', 'q1\td2\t0.5\n', /:1: expected query/],
    ['no passage', 'q1\t\t1\n', /:1: expected query/],
    ['JSON of another form', '{"q1": ["d2"]}', /q1: expected \{query: \{passage: grade\}\}, found \["d2"\]/],
    ['JSON grades in words', '{"q1": {"d2": "1"}}', /q1\.d2: expected/],
    ['deep JSON', `{"q1": ${'['.repeat(100_000)}`, /not valid JSON|deeper/],
  ])('%s', async (_name, text, message) => {
    await expect(read(text)).rejects.toThrow(message);
  });
});

test('judged queries that are not in the file of queries are counted; blanks around ids are slips', async () => {
  const queries = await fileOf('{"_id": "q1 ", "text": "oslo"}\n{"_id": "q2", "text": "seine"}\n');
  const qrels = await fileOf('q1\td2\t1\nq9\td3\t1\nq8\td3\t0\n');
  const { judged, unjudged, unknownQueries } = await readJudgedQueries(queries, qrels);
  expect(judged).toEqual([{ id: 'q1', text: 'oslo', grades: new Map([['d2', 1]]) }]);
  expect([unjudged, unknownQueries]).toEqual([1, 2]);
});
