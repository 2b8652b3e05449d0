/** `search-e1 index build`: from corpus files to an index directory. */

import path from 'node:path';
import { Command, Option } from 'commander';
import { megabytes } from '../base/bytes.ts';
import { clock } from '../base/clock.ts';
import { UserError } from '../base/errors.ts';
import { shellCommand } from '../base/shell-command.ts';
import { printable } from '../base/text.ts';
import type { AnalyzerName } from '../retrieval/analyzer.ts';
import type { LengthForm } from '../retrieval/index/arrays.ts';
import { type BuildEvent, buildIndex, partialFolder } from '../retrieval/index/build.ts';
import type { Manifest } from '../retrieval/index/manifest.ts';
import { byteSize, decimal, wholeNumber } from './arguments.ts';
import {
  buildOther,
  type Kind,
  kinds,
  locked,
  type OtherOptions,
  otherOptions,
} from './index-build-dense-hybrid-opensearch.ts';
import { interruptible } from './interrupt.ts';
import type { Io } from './widgets/io.ts';
import { bar, LiveArea } from './widgets/live-area.ts';
import { fitting } from './widgets/terminal.ts';

interface Options {
  readonly corpus: readonly string[];
  readonly out: string;
  readonly analyzer: AnalyzerName;
  readonly k1: number;
  readonly b: number;
  readonly length: LengthForm;
  readonly workers?: number;
  readonly memory: number;
  readonly skipBad?: boolean;
  readonly json?: boolean;
}

const examples = `
A line of a JSONL file is {"id", "title", "text"}, {"_id", "title", "text"} (BEIR) or {"id", "contents"} (Search-R1); a
Parquet file has such columns. An interrupted build goes on when the same command is given again.

Examples:
  search-e1 index build --corpus passages.jsonl.gz --out wiki
  search-e1 index build --corpus part-1.parquet part-2.parquet --out wiki --skip-bad
  search-e1 index build --corpus wiki-18.jsonl.gz --out wiki-18 --memory 4GB
  search-e1 index build --corpus beir/corpus.jsonl --out scifact --k1 1.2 --b 0.75 --length exact
  search-e1 index build --kind dense --corpus passages.jsonl.gz --embedder models/all-MiniLM-L6-v2 --out wiki-minilm
  search-e1 index build --kind dense --corpus passages.jsonl.gz --embedder models/e5-base-v2 --out wiki-e5
  search-e1 index build --kind hybrid --legs wiki wiki-e5 --out wiki-hybrid
  search-e1 index build --kind opensearch --corpus passages.jsonl.gz --url http://127.0.0.1:9200 --name wiki --out wiki-os
`;

export function indexBuildCommand(io: Io): Command {
  const command = new Command('build')
    .description('Build a search index from passages: BM25 with the scores of Lucene, dense, hybrid, or OpenSearch.')
    .addOption(
      new Option('--kind <kind>', 'what to build; each has options of its own, below').choices(kinds).default('bm25'),
    )
    .option('--corpus <file...>', 'JSONL, JSONL.gz or Parquet files, in this order')
    .requiredOption('--out <dir>', 'the directory to make')
    .addOption(
      new Option('--analyzer <name>', "english: Lucene's EnglishAnalyzer; words: lower case, nothing stemmed")
        .choices(['english', 'words'])
        .default('english'),
    )
    .option('--k1 <number>', 'saturation of the term frequency', decimal(0, Number.MAX_VALUE), 0.9)
    .option('--b <number>', 'weight of the passage length, 0 to 1', decimal(0, 1), 0.4)
    .addOption(
      new Option('--length <form>', "lucene: rounded to one byte, as Lucene's; exact")
        .choices(['lucene', 'exact'])
        .default('lucene'),
    )
    .option('--workers <number>', 'processes that analyse (default: one a core, as memory allows)', wholeNumber(1))
    .addOption(
      new Option('--memory <size>', 'what all processes of the build together stay within, e.g. 500MB or 4GB')
        .argParser(byteSize)
        .default(2e9, '2GB'),
    )
    .option('--skip-bad', 'pass over malformed lines, and count them')
    .option('--json', 'print one JSON document at the end, progress as plain lines on stderr')
    .addHelpText('after', examples);
  for (const option of otherOptions()) command.addOption(option);
  return command.action((options: Options & OtherOptions) => {
    refuseForeignOptions(command, options.kind);
    return options.kind === 'bm25' ? build(options, io) : buildOther(options, io);
  });
}

/** An option of another kind would be passed over in silence. */
function refuseForeignOptions(command: Command, kind: Kind): void {
  const given = command.options.filter((option) => command.getOptionValueSource(option.attributeName()) === 'cli');
  for (const option of given) {
    const own = optionKinds[option.attributeName()];
    if (own === undefined || own.includes(kind)) continue;
    throw new UserError(`${option.long} is an option of --kind ${own.join(' and ')}, not of ${kind}`);
  }
  const isGiven = (name: string) => given.some((option) => option.attributeName() === name);
  const missing = required[kind].filter((name) => !isGiven(name));
  if (missing.length > 0)
    throw new UserError(`--kind ${kind} needs ${missing.map((name) => `--${name}`).join(' and ')}`, {
      hint: 'search-e1 index build --help has examples.',
    });
}

const required: Record<Kind, readonly string[]> = {
  bm25: ['corpus'],
  dense: ['corpus', 'embedder'],
  hybrid: ['legs'],
  opensearch: ['corpus', 'url', 'name'],
};

/** Which kinds an option is for; those that are not named are for all. */
const optionKinds: Readonly<Record<string, readonly Kind[]>> = {
  corpus: ['bm25', 'dense', 'opensearch'],
  skipBad: ['bm25', 'dense', 'opensearch'],
  analyzer: ['bm25'],
  k1: ['bm25', 'opensearch'],
  b: ['bm25', 'opensearch'],
  length: ['bm25'],
  workers: ['bm25'],
  memory: ['bm25'],
  embedder: ['dense'],
  queryPrefix: ['dense'],
  passagePrefix: ['dense'],
  apiKeyEnv: ['dense'],
  type: ['dense'],
  store: ['dense'],
  faiss: ['dense'],
  legs: ['hybrid'],
  trustServer: ['hybrid'],
  url: ['opensearch'],
  name: ['opensearch'],
};

async function build({ skipBad, json, ...options }: Options, io: Io): Promise<void> {
  const area = new LiveArea(io.err, json !== true);
  const skipped = new Skipped();
  let blank = 0;
  const status = new BuildStatus(area);
  const start = performance.now();
  try {
    const manifest = await interruptible('Continue with the same command.', (signal) =>
      locked(partialFolder(options.out), () =>
        buildIndex({
          ...options,
          ...(skipBad ? { onBad: (error) => skipped.see(error) } : {}),
          onBlank: () => {
            blank += 1;
          },
          onEvent: (event) => status.see(event),
          signal,
        }),
      ),
    );
    area.finish();
    const seconds = (performance.now() - start) / 1000;
    io.out.write(
      json
        ? `${JSON.stringify({ directory: path.resolve(options.out), seconds, skipped, blank, manifest }, null, 2)}\n`
        : fitting(printable(summary(options.out, manifest, seconds, skipped, blank)), io.out),
    );
  } finally {
    area.finish();
  }
}

/** Malformed lines: how many, and what was wrong with the first few. */
class Skipped {
  count = 0;
  readonly first: string[] = [];

  see(error: UserError): void {
    this.count += 1;
    if (this.first.length < 5) this.first.push(error.message);
  }
}

class BuildStatus {
  readonly #area: LiveArea;
  #start = performance.now();

  constructor(area: LiveArea) {
    this.#area = area;
  }

  see(event: BuildEvent): void {
    const seconds = (performance.now() - this.#start) / 1000;
    switch (event.kind) {
      case 'start': {
        const { workers, continued } = event;
        const processes = `${workers} ${workers === 1 ? 'worker' : 'workers'}`;
        this.#area.print(continued ? `continuing an interrupted build, ${processes}` : `building with ${processes}`);
        this.#start = performance.now();
        break;
      }
      case 'analysed': {
        const { passages, resumed, fraction, resumedFraction } = event;
        const rate = (passages - resumed) / seconds;
        const left = (seconds * (1 - fraction)) / (fraction - resumedFraction);
        const figures = `${passages.toLocaleString('en')} passages, ${Math.round(rate).toLocaleString('en')} passages/s`;
        // The first seconds go to starting processes and say little.
        this.#show('analysing', fraction, fraction - resumedFraction > 0.02 ? left : undefined, figures);
        break;
      }
      case 'merged':
        this.#show('merging', event.fraction, undefined, 'postings of all segments');
        break;
    }
  }

  #show(stage: string, fraction: number, left: number | undefined, figures: string): void {
    const percent = `${Math.floor(100 * fraction)} %`;
    const rest = left === undefined ? '' : `  ${clock(left)} left`;
    this.#area.show({
      lines: [`${stage}  ${figures}`, `${bar(fraction, 32)}  ${percent}${rest}`],
      plain: `${stage}, ${percent}, ${figures}${rest.replace('  ', ', ')}`,
      milestone: stage,
    });
  }
}

function summary(
  out: string,
  { passages, terms, postings, files }: Manifest,
  seconds: number,
  skipped: Skipped,
  blank: number,
): string {
  const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
  const count = (n: number) => n.toLocaleString('en');
  return [
    `${out}: ${count(passages)} passages, ${count(terms)} terms, ${count(postings)} postings, ${megabytes(bytes)} in ${clock(seconds)}`,
    ...(blank === 0 ? [] : [`${count(blank)} without title and text, which are never found`]),
    ...(skipped.count === 0 ? [] : [`passed over ${count(skipped.count)} malformed lines, among them:`]),
    ...skipped.first.map((message) => `  ${message}`),
    `Search it with: ${shellCommand('search-e1', 'index', 'search', out, 'your question')}`,
    '',
  ].join('\n');
}
