/**
 * `npm run bench:retrieval [-- --only wiki|gold|synthetic|http] [--passages 1000000] [--rounds 5] [--work DIR] [--json]`: BM25
 * on this machine, beside Lucene where it is installed, and over HTTP. `wiki` and `gold` need the shared data
 * (SEARCH_E1_SHARED); `gold` and `http` search the indexes that `wiki` and `synthetic` leave in the work folder.
 */
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { readQuestions } from '../../src/benchmarks/questions.ts';
import { DiskBm25 } from '../../src/retrieval/disk-bm25.ts';
import { evaluateRetriever, type RetrievalScores } from '../../src/retrieval/evaluation/evaluate-retriever.ts';
import { readJudgedQueries } from '../../src/retrieval/evaluation/judgements.ts';
import { type HttpSpeed, measureHttp } from './http.ts';
import { type Comparison, compare } from './side-by-side.ts';
import { syntheticPassages, syntheticQueries } from './synthetic.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    passages: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '5' },
    work: { type: 'string', default: path.join(os.tmpdir(), 'search-e1-bench-retrieval') },
    json: { type: 'boolean', default: false },
  },
});
const { work } = values;
const shared = process.env.SEARCH_E1_SHARED ?? path.join(import.meta.dirname, '../../../shared');
const wiki = path.join(shared, 'data/corpus/wiki-passages.jsonl.gz');
const questions = (name: string) => path.join(shared, `data/questions/${name}.jsonl.gz`);

async function measureWiki(): Promise<Comparison> {
  const queries = (await readQuestions(questions('hotpotqa.dev'))).map(({ question }) => question);
  return compare({ name: 'wiki', corpus: wiki, queries, k: 3 }, work, Number(values.rounds));
}

async function measureSynthetic(): Promise<Comparison> {
  const count = Number(values.passages);
  const corpus = path.join(work, `synthetic-${count}.jsonl`);
  if (!existsSync(corpus))
    await pipeline(function* () {
      for (const passage of syntheticPassages(count)) yield `${JSON.stringify(passage)}\n`;
    }, createWriteStream(corpus));
  const workload = { name: `synthetic-${count}`, corpus, queries: [...syntheticQueries(4000)], k: 3 };
  return compare(workload, work, Number(values.rounds));
}

async function measureServed(): Promise<HttpSpeed> {
  const folder = path.join(work, `synthetic-${Number(values.passages)}.own`);
  return measureHttp(folder, syntheticQueries(Number.POSITIVE_INFINITY), Number(values.rounds));
}

async function measureGold(): Promise<RetrievalScores> {
  const index = await DiskBm25.open(path.join(work, 'wiki.own'));
  try {
    return await evaluateRetriever(index, (await readJudgedQueries(questions('nq.test'), undefined)).judged);
  } finally {
    await index.close();
  }
}

const median = (figures: readonly number[]) => figures.toSorted((x, y) => x - y)[Math.floor(figures.length / 2)]!;
const speed = (figures: readonly number[]) =>
  `${figures.map((f) => Math.round(f)).join(' ')} (median ${Math.round(median(figures))})`;

function rows({ name, k, build, open, searchRss, rank, read, lucene }: Comparison): string[] {
  return [
    `${name}, k = ${k}`,
    `  build                 ${build.seconds.toFixed(1)} s, peak ${build.peakRss} MB in the main process${lucene ? ` (Lucene ${lucene.buildSeconds.toFixed(1)} s)` : ''}`,
    `  open                  ${open.seconds.toFixed(3)} s; ${searchRss} MB resident after all searches`,
    `  ranking, queries/s    ${speed(rank)}`,
    `  ... and passages      ${speed(read)}`,
    ...(lucene
      ? [
          `  Lucene, queries/s     ${speed(lucene.rank)}`,
          `  ours / Lucene's       ${(median(rank) / median(lucene.rank)).toFixed(2)}`,
          `  same ten as Lucene    ${lucene.sameTop10} queries, with the same scores ${lucene.sameScores}`,
        ]
      : []),
  ];
}

await mkdir(work, { recursive: true });
const parts = values.only ?? ['wiki', 'gold', 'synthetic', 'http'];
const comparisons: Comparison[] = [];
let gold: RetrievalScores | undefined;
if (existsSync(wiki)) {
  if (parts.includes('wiki')) comparisons.push(await measureWiki());
  if (parts.includes('gold')) gold = await measureGold();
} else process.stderr.write(`without wiki and gold: ${wiki} is not there\n`);
if (parts.includes('synthetic')) comparisons.push(await measureSynthetic());
const http = parts.includes('http') ? await measureServed() : undefined;

const machine = {
  cpu: os.cpus()[0]?.model,
  cores: os.availableParallelism(),
  load: os.loadavg()[0],
  node: process.version,
};
if (values.json) process.stdout.write(`${JSON.stringify({ machine, comparisons, gold, http }, null, 2)}\n`);
else {
  process.stdout.write(
    `${machine.cpu}, ${machine.cores} cores, load ${machine.load?.toFixed(1)}, Node ${machine.node}; one thread, k1 0.9, b 0.4\n`,
  );
  for (const comparison of comparisons) process.stdout.write(`${rows(comparison).join('\n')}\n`);
  if (gold) {
    const recalls = gold.recall.map(({ k, recall }) => `@${k} ${recall.toFixed(4)}`).join('  ');
    process.stdout.write(
      `nq.test, ${gold.queries} questions: gold recall ${recalls}; nDCG@10 ${gold.ndcg10.toFixed(4)}, MRR@10 ${gold.mrr10.toFixed(4)}\n`,
    );
  }
  if (http) {
    process.stdout.write(
      `over HTTP, synthetic-${values.passages}, k = ${http.k}, batches of ${http.batch} over ${http.connections} connections, queries/s: ${speed(http.queries)}\n` +
        `  serving after ${http.startSeconds.toFixed(2)} s; server ${http.rss} MB; answered by its cache ${(100 * http.cacheHitRate).toFixed(1)} %\n`,
    );
  }
}
