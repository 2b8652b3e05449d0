/**
 * `node bench/retrieval/recall.ts INDEX... [--questions FILE] [--first N]`: recall of the gold passages at 1, 3, 5, 20 and 100 for index
 * directories over one corpus, side by side. Default: all of nq.test of the shared data (SEARCH_E1_SHARED).
 *
 * `... --part FILE --first N --others M` writes a smaller corpus instead: the gold passages of the first N questions and M others,
 * evenly spread over the wiki passages. Say so wherever its figures are shown: the fewer passages, the higher the recall.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { writeFileAtomic } from '../../src/base/files.ts';
import { readCorpus } from '../../src/retrieval/corpus.ts';
import { type JudgedQuery, readJudgedQueries } from '../../src/retrieval/evaluation/judgements.ts';
import { recall } from '../../src/retrieval/evaluation/measures.ts';
import { openRetriever } from '../../src/retrieval/open-retriever.ts';
import type { Passage } from '../../src/retrieval/retriever.ts';

const DEPTHS = [1, 3, 5, 20, 100];
/** Questions asked together. */
const BATCH = 32;

const shared = process.env.SEARCH_E1_SHARED ?? path.join(import.meta.dirname, '../../../shared');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    questions: { type: 'string', default: path.join(shared, 'data/questions/nq.test.jsonl.gz') },
    first: { type: 'string', default: 'Infinity' },
    part: { type: 'string' },
    others: { type: 'string', default: '10000' },
  },
});

const { judged } = await readJudgedQueries(values.questions, undefined);
const questions = judged.slice(0, Number(values.first));
if (values.part !== undefined) await writePart(values.part, Number(values.others));
else {
  const rows: string[] = [];
  for (const index of positionals) rows.push(await measure(index, questions));
  const columns = DEPTHS.map((k) => `@${k}`);
  process.stdout.write(`${questions.length} questions with a gold passage\n`);
  process.stdout.write(`| index | passages | ${columns.join(' | ')} | questions per CPU second |\n`);
  process.stdout.write(`|${'---|'.repeat(columns.length + 3)}\n${rows.join('\n')}\n`);
}

async function measure(index: string, queries: readonly JudgedQuery[]): Promise<string> {
  const retriever = await openRetriever(index);
  const sums = DEPTHS.map(() => 0);
  const before = process.cpuUsage();
  for (let start = 0; start < queries.length; start += BATCH) {
    const batch = queries.slice(start, start + BATCH);
    const lists = await retriever.search(
      batch.map(({ text }) => text),
      DEPTHS.at(-1)!,
    );
    for (const [i, { grades }] of batch.entries()) {
      const ids = lists[i]!.map(({ passage }) => passage.id);
      for (const [d, k] of DEPTHS.entries()) sums[d]! += recall(ids, grades, k);
    }
  }
  const { user, system } = process.cpuUsage(before);
  const { kind, passages } = retriever.info;
  await retriever.close();
  const recalls = sums.map((sum) => (sum / queries.length).toFixed(4));
  const speed = Math.round((queries.length * 1e6) / (user + system));
  return `| ${kind}, ${path.basename(index)} | ${passages} | ${recalls.join(' | ')} | ${speed} |`;
}

async function writePart(file: string, others: number): Promise<void> {
  const gold = new Set(questions.flatMap(({ grades }) => [...grades.keys()]));
  const all: Passage[] = [];
  for await (const passage of readCorpus([path.join(shared, 'data/corpus/wiki-passages.jsonl.gz')])) all.push(passage);
  const rest = all.filter(({ id }) => !gold.has(id));
  const step = Math.max(1, rest.length / others);
  const chosen = new Set(
    Array.from({ length: Math.min(others, rest.length) }, (_, i) => rest[Math.floor(i * step)]!.id),
  );
  const part = all.filter(({ id }) => gold.has(id) || chosen.has(id));
  await writeFileAtomic(file, gzipSync(part.map((passage) => `${JSON.stringify(passage)}\n`).join('')));
  process.stdout.write(`${file}: ${part.length} passages, ${part.length - chosen.size} of them gold\n`);
}
