/** `search-e1 index eval`: how well a retriever finds the passages known to answer queries. */
import { Command, Option } from 'commander';
import { clock } from '../base/clock.ts';
import { UserError } from '../base/errors.ts';
import { DiskBm25 } from '../retrieval/disk-bm25.ts';
import { evaluateRetriever, type RetrievalScores } from '../retrieval/evaluation/evaluate-retriever.ts';
import { type JudgedQuery, readJudgedQueries } from '../retrieval/evaluation/judgements.ts';
import type { LengthForm } from '../retrieval/index/arrays.ts';
import { openRetriever } from '../retrieval/open-retriever.ts';
import type { Ties } from '../retrieval/ranking/ties.ts';
import type { Retriever, RetrieverInfo } from '../retrieval/retriever.ts';
import { decimal, tiesOption, trustOption } from './arguments.ts';
import { interruptible } from './interrupt.ts';
import type { Io } from './widgets/io.ts';
import { bar, LiveArea } from './widgets/live-area.ts';

interface Options {
  readonly queries: string;
  readonly qrels?: string;
  readonly leaveOutOwn?: boolean;
  readonly ties: Ties;
  readonly k1?: number;
  readonly b?: number;
  readonly length?: LengthForm;
  readonly trustServer: readonly string[];
  readonly json?: boolean;
}

const examples = `
Queries are JSONL, {"_id", "text"} as BEIR has them or {"id", "question"}. Qrels are BEIR's TSV of query, passage and grade, TREC's four
columns, or pytrec_eval's JSON; without --qrels the queries' own "gold_ids" count. Queries without a relevant passage are left out, and counted.

Examples:
  search-e1 index eval scifact --queries scifact/queries.jsonl --qrels scifact/qrels/test.tsv
  search-e1 index eval arguana --queries arguana/queries.jsonl --qrels arguana/qrels/test.tsv --leave-out-own
  search-e1 index eval wiki --queries nq.test.jsonl.gz --json | jq .scores
  search-e1 index eval wiki --queries nq.test.jsonl.gz --k1 1.2 --b 0.75
`;

export function indexEvalCommand(io: Io): Command {
  return new Command('eval')
    .description('nDCG@10, MRR@10 and recall at 5, 20, 100 and 1000 over judged queries.')
    .argument('<dir>', 'a directory made by `index build`')
    .requiredOption('--queries <file>', 'JSONL, plain or gzip')
    .option('--qrels <file>', 'judgements: query, passage, grade (default: gold_ids of the queries)')
    .option('--leave-out-own', "leave a passage with the query's own id out of its list, as BEIR does")
    .addOption(tiesOption())
    .option('--k1 <number>', 'another k1 than the index was built with', decimal(0, Number.MAX_VALUE))
    .option('--b <number>', 'another b than the index was built with', decimal(0, 1))
    .addOption(new Option('--length <form>', 'another length form').choices(['lucene', 'exact']))
    .addOption(trustOption())
    .option('--json', 'print one JSON document, progress as plain lines on stderr')
    .addHelpText('after', examples)
    .action((folder: string, options: Options) => evaluate(folder, options, io));
}

async function evaluate(folder: string, options: Options, io: Io): Promise<void> {
  const { queries, qrels, leaveOutOwn = false, trustServer: trust, json, ties, ...scoring } = options;
  const judged = await readJudgedQueries(queries, qrels);
  const own = Object.keys(scoring).length === 0;
  const retriever = own
    ? await openRetriever(folder, { trust, ties })
    : await DiskBm25.open(folder, { ...scoring, ties });
  const area = new LiveArea(io.err, json !== true);
  const start = performance.now();
  try {
    const unknown = await unknownPassages(retriever, judged.judged, qrels ?? `gold_ids of ${queries}`);
    const scores = await interruptible(
      'Nothing was written; run it again.',
      (signal) =>
        evaluateRetriever(retriever, judged.judged, {
          leaveOutOwn,
          signal,
          onDone: (done) => showProgress(area, done, judged.judged.length, start),
        }),
      'stopped',
    );
    area.finish();
    const { info } = retriever;
    const { unjudged, unknownQueries } = judged;
    const counts = { unjudged, unknownQueries, unknownPassages: unknown, leaveOutOwn };
    io.out.write(
      json ? `${JSON.stringify({ index: info, ...counts, scores }, null, 2)}\n` : asText(info, scores, counts),
    );
  } finally {
    area.finish();
    await retriever.close();
  }
}

/** Relevant passages that the corpus has not: they count as missed. @throws UserError when it has none of them */
async function unknownPassages(retriever: Retriever, judged: readonly JudgedQuery[], place: string): Promise<number> {
  const relevant = new Set(judged.flatMap(({ grades }) => [...grades.keys()]));
  const known = (await retriever.has?.(relevant)) ?? relevant;
  if (known.size === 0)
    throw new UserError(`${place}: none of the ${relevant.size} relevant passages is in this index`, {
      hint: 'Do the judgements belong to another corpus, or to other ids of it?',
    });
  return relevant.size - known.size;
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

interface Counts {
  readonly unjudged: number;
  readonly unknownQueries: number;
  readonly unknownPassages: number;
  readonly leaveOutOwn: boolean;
}

function asText(
  info: RetrieverInfo,
  { queries, ndcg10, mrr10, recall, ownFound }: RetrievalScores,
  counts: Counts,
): string {
  // Hashes are shortened here; --json has them whole.
  const brief = (value: string | number) => String(value).replace(/^([0-9a-f]{8})[0-9a-f]{56}$/, '$1');
  const settings = Object.entries(info.settings).map(([name, value]) => `${name} ${brief(value)}`);
  const rows: [string, number][] = [
    ['nDCG@10', ndcg10],
    ['MRR@10', mrr10],
    ...recall.map(({ k, recall }): [string, number] => [`recall@${k}`, recall]),
  ];
  const { unjudged, unknownQueries, unknownPassages, leaveOutOwn } = counts;
  const note = (count: number, text: string) => (count === 0 ? [] : [`note: ${text}: ${count.toLocaleString('en')}`]);
  const left = unjudged === 0 ? '' : `, ${unjudged.toLocaleString('en')} without a relevant passage left out`;
  return [
    `${info.kind} over ${info.passages.toLocaleString('en')} passages, ${settings.join(', ')}`,
    `${queries.toLocaleString('en')} queries${left}`,
    ...rows.map(([name, value]) => `  ${name.padEnd(12)} ${value.toFixed(4)}`),
    ...note(unknownPassages, 'relevant passages that are not in this index, and count as missed'),
    ...note(unknownQueries, 'judged queries that are not in the file of queries, and do not count'),
    ...note(
      ownFound,
      leaveOutOwn
        ? 'lists that had a passage with the id of the query, which was left out'
        : 'lists that have a passage with the id of the query, which BEIR leaves out (--leave-out-own)',
    ),
    '',
  ].join('\n');
}
