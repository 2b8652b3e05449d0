/** `search-e1 serve-retriever`: a retriever as an HTTP server, for many trainers at once or for programs in other languages. */
import { Command, Option } from 'commander';
import { defaultServerOptions, serveRetriever } from '../retrieval/http/server.ts';
import { openRetriever } from '../retrieval/open-retriever.ts';
import type { Ties } from '../retrieval/ranking/ties.ts';
import { alsoCalled, repeatable, tiesOption, trustOption, wholeNumber } from './arguments.ts';
import { interruptible } from './interrupt.ts';
import { announceOpening } from './opening.ts';
import type { Io } from './widgets/io.ts';

interface Options {
  readonly host: string;
  readonly port: number;
  readonly allowHost: readonly string[];
  readonly longQueries: 'refuse' | 'empty';
  readonly ties: Ties;
  readonly trustServer: readonly string[];
  readonly passages: number;
  readonly json?: boolean;
}

const examples = `
Examples:
  search-e1 serve-retriever wiki-index
  search-e1 serve-retriever passages.jsonl.gz --port 0
  search-e1 evolve --questions train.jsonl --retriever http://127.0.0.1:8000 --model base
  curl -s http://127.0.0.1:8000/retrieve -H 'Content-Type: application/json' \\
    -d '{"queries": ["who wrote the book"], "topk": 3, "return_scores": true}'

POST /retrieve takes {"queries": [...], "topk"?, "return_scores"?} and answers {"result": [[{"document", "score"}, ...], ...]}, as the
retrieval servers of Search-R1 and its successors do. GET /healthz describes the index, GET /metrics is Prometheus text.
Only this machine can connect unless --host says otherwise; there is no authentication. Requests that name the server otherwise
than by its address, localhost or an --allow-host, and those of web pages of elsewhere, are refused.
`;

export function serveRetrieverCommand(io: Io): Command {
  const { host, port, limits } = defaultServerOptions;
  const command = new Command('serve-retriever')
    .argument('<source>', 'index directory (search-e1 index build), or corpus file: JSONL, JSONL.gz or Parquet')
    .option('--host <address>', 'address to listen on', host)
    .option('--port <number>', 'port to listen on; 0 takes a free one', wholeNumber(0, 65_535), port)
    .option(
      '-k, --passages <number>',
      'passages for a query that names no number',
      wholeNumber(1, limits.maxPassages),
      limits.defaultPassages,
    )
    .addOption(repeatable('--allow-host <name>', 'a name by which the server may be asked, e.g. behind a proxy'))
    .addOption(
      new Option(
        '--long-queries <what>',
        `a query of more than ${limits.maxQueryLength.toLocaleString('en')} characters: refuse the whole request, or give that query an empty list`,
      )
        .choices(['refuse', 'empty'])
        .default('refuse'),
    )
    .addOption(tiesOption())
    .addOption(trustOption())
    .option('--json', 'print the first line as JSON')
    .addHelpText('after', examples)
    .action((source: string, options: Options) => serve(source, options, io));
  return alsoCalled(command, '--k <number>', 'passages');
}

async function serve(source: string, options: Options, io: Io): Promise<void> {
  const { host, port, passages: k, allowHost, longQueries, ties, trustServer: trust, json } = options;
  announceOpening(io, source);
  const retriever = await openRetriever(source, { trust, ties });
  try {
    const limits = { ...defaultServerOptions.limits, defaultPassages: k, longQueries };
    const server = await serveRetriever(retriever, { ...defaultServerOptions, host, port, limits, names: allowHost });
    const { kind, passages, corpusHash } = retriever.info;
    io.out.write(
      json === true
        ? `${JSON.stringify({ url: server.url, retriever: retriever.info })}\n`
        : `serving ${passages.toLocaleString('en')} passages (${kind}, corpus ${corpusHash.slice(0, 12)}) at ${server.url}/retrieve; Ctrl-C stops\n`,
    );
    const { answered, unanswered } = await interruptible('', async (signal) => {
      await new Promise<void>((stopped) => signal.addEventListener('abort', () => stopped(), { once: true }));
      return server.close();
    });
    if (json !== true) io.err.write(`stopped; requests since then: ${answered} answered, ${unanswered} cut off\n`);
  } finally {
    await retriever.close();
  }
}
