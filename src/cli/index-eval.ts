/** `search-e1 index eval`: how well a retriever finds the passages known to answer queries. */
import { Command, Option } from 'commander';
import { DiskBm25 } from '../retrieval/disk-bm25.ts';
import { evaluateRetriever, type RetrievalScores } from '../retrieval/evaluation/evaluate-retriever.ts';
import { readJudgedQueries } from '../retrieval/evaluation/judgements.ts';
import type { LengthForm } from '../retrieval/index/arrays.ts';
import { openRetriever } from '../retrieval/open-retriever.ts';
import type { RetrieverInfo } from '../retrieval/retriever.ts';
import { decimal, trustOption } from './arguments.ts';
import { interruptible } from './interrupt.ts';
import type { Io } from './widgets/io.ts';
import { bar, clock, LiveArea } from './widgets/live-area.ts';

interface Options {
  readonly queries: string;
  readonly qrels?: string;
  readonly k1?: number;
  readonly b?: number;
  readonly length?: LengthForm;
  readonly trustServer: readonly string[];
  readonly json?: boolean;
}

const examples = `
Queries are JSONL, {"_id", "text"} as BEIR has them or {"id", "question"}; qrels are BEIR's TSV of query, passage and grade.
Without --qrels the queries' own "gold_ids" count. Queries without a relevant passage are left out, and counted.

Examples:
  search-e1 index eval scifact --queries scifact/queries.jsonl --qrels scifact/qrels/test.tsv
  search-e1 index eval wiki --queries nq.test.jsonl.gz --json | jq .scores
  search-e1 index eval wiki --queries nq.test.jsonl.gz --k1 1.2 --b 0.75
`;

export function indexEvalCommand(io: Io): Command {
  return new Command('eval')
    .description('nDCG@10, MRR@10 and recall at 5, 20, 100 and 1000 over judged queries.')
    .argument('<dir>', 'a directory made by `index build`')
    .requiredOption('--queries <file>', 'JSONL, plain or gzip')
    .option('--qrels <file>', 'TSV: query, passage, grade (default: gold_ids of the queries)')
    .option('--k1 <number>', 'another k1 than the index was built with', decimal(0, Number.MAX_VALUE))
    .option('--b <number>', 'another b than the index was built with', decimal(0, 1))
    .addOption(new Option('--length <form>', 'another length form').choices(['lucene', 'exact']))
    .addOption(trustOption())
    .option('--json', 'print one JSON document, progress as plain lines on stderr')
    .addHelpText('after', examples)
    .action((folder: string, options: Options) => evaluate(folder, options, io));
}

async function evaluate(
  folder: string,
  { queries, qrels, trustServer: trust, json, ...scoring }: Options,
  io: Io,
): Promise<void> {
  const { judged, unjudged } = await readJudgedQueries(queries, qrels);
  const own = Object.keys(scoring).length === 0;
  const retriever = own ? await openRetriever(folder, { trust }) : await DiskBm25.open(folder, scoring);
  const area = new LiveArea(io.err, json !== true);
  const start = performance.now();
  try {
    const scores = await interruptible(
      'Nothing was written; run it again.',
      (signal) =>
        evaluateRetriever(retriever, judged, {
          signal,
          onDone: (done) => showProgress(area, done, judged.length, start),
        }),
      'stopped',
    );
    area.finish();
    const { info } = retriever;
    io.out.write(
      json ? `${JSON.stringify({ index: info, unjudged, scores }, null, 2)}\n` : asText(info, scores, unjudged),
    );
  } finally {
    area.finish();
    await retriever.close();
  }
}

function showProgress(area: LiveArea, done: number, total: number, start: number): void {
  const seconds = (performance.now() - start) / 1000;
  const figures = `${done.toLocaleString('en')} of ${total.toLocaleString('en')} queries`;
  const left = `${clock((seconds * (total - done)) / done)} left`;
  area.show({
    lines: [`${bar(done / total, 32)}  ${figures}  ${left}`],
    plain: `${figures}, ${left}`,
    milestone: 'searching',
  });
}

function asText(info: RetrieverInfo, { queries, ndcg10, mrr10, recall }: RetrievalScores, unjudged: number): string {
  // Hashes are shortened here; --json has them whole.
  const brief = (value: string | number) => String(value).replace(/^([0-9a-f]{8})[0-9a-f]{56}$/, '$1');
  const settings = Object.entries(info.settings).map(([name, value]) => `${name} ${brief(value)}`);
  const rows: [string, number][] = [
    ['nDCG@10', ndcg10],
    ['MRR@10', mrr10],
    ...recall.map(({ k, recall }): [string, number] => [`recall@${k}`, recall]),
  ];
  const left = unjudged === 0 ? '' : `, ${unjudged.toLocaleString('en')} without a relevant passage left out`;
  return [
    `${info.kind} over ${info.passages.toLocaleString('en')} passages, ${settings.join(', ')}`,
    `${queries.toLocaleString('en')} queries${left}`,
    ...rows.map(([name, value]) => `  ${name.padEnd(12)} ${value.toFixed(4)}`),
    '',
  ].join('\n');
}
