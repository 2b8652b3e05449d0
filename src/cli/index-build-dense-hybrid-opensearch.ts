/** `search-e1 index build --kind dense|hybrid|opensearch`. */

import { existsSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import path from 'node:path';
import { Option } from 'commander';
import { clock } from '../base/clock.ts';
import { UserError } from '../base/errors.ts';
import { makeFolder } from '../base/files.ts';
import { shellCommand } from '../base/shell-command.ts';
import { readCorpus } from '../retrieval/corpus.ts';
import { buildDenseIndex } from '../retrieval/dense/build.ts';
import { openFaissFlat } from '../retrieval/dense/faiss.ts';
import { requireLance } from '../retrieval/dense/lance.ts';
import { openEmbedder } from '../retrieval/dense/open-embedder.ts';
import { type VectorType, vectorTypes } from '../retrieval/dense/vector-file.ts';
import { isUrl, writeLegs } from '../retrieval/hybrid-manifest.ts';
import { openHybrid, openRetriever } from '../retrieval/open-retriever.ts';
import { Connection } from '../retrieval/opensearch/connection.ts';
import { loadIntoOpenSearch } from '../retrieval/opensearch/load.ts';
import { originOf, type Trust } from '../retrieval/trust.ts';
import { acquireLock } from '../runs/lock.ts';
import { apiKeyOption, trustOption } from './arguments.ts';
import { interruptible } from './interrupt.ts';
import type { Io } from './widgets/io.ts';
import { bar, LiveArea } from './widgets/live-area.ts';

export const kinds = ['bm25', 'dense', 'hybrid', 'opensearch'] as const;
export type Kind = (typeof kinds)[number];

/** Options of these kinds; `index-build.ts` sees to it that those are there which a kind needs. */
export interface OtherOptions {
  readonly kind: Kind;
  readonly corpus: readonly string[];
  readonly out: string;
  readonly k1: number;
  readonly b: number;
  readonly skipBad?: boolean;
  readonly json?: boolean;
  readonly embedder: string;
  readonly queryPrefix?: string;
  readonly passagePrefix?: string;
  readonly apiKeyEnv?: string;
  readonly type: VectorType;
  readonly store: 'flat' | 'lancedb';
  readonly faiss?: string;
  readonly legs: readonly string[];
  readonly url: string;
  readonly name: string;
  readonly trustServer: readonly string[];
}

export function otherOptions(): Option[] {
  return [
    new Option(
      '--embedder <dir|url>',
      "dense: a sentence-transformers folder (BERT, or any with an ONNX file), E5's as ONNX, or http://HOST:PORT/v1#MODEL",
    ),
    new Option(
      '--query-prefix <text>',
      'dense: before queries, e.g. "query: " for E5 (default: what the folder names; of a served model, none)',
    ),
    new Option('--passage-prefix <text>', 'dense: before passages, likewise'),
    apiKeyOption('dense: '),
    new Option('--type <type>', 'dense: of the stored vectors').choices(vectorTypes).default('float32'),
    new Option('--store <store>', 'dense: flat is exact; lancedb, approximate, for large sets')
      .choices(['flat', 'lancedb'])
      .default('flat'),
    new Option('--faiss <file>', 'dense: vectors made before, an IndexFlatIP file in the order of the corpus'),
    trustOption(),
    new Option('--legs <retriever...>', 'hybrid: two index directories, corpus files or servers over one corpus'),
    new Option('--url <url>', 'opensearch: a node, e.g. http://127.0.0.1:9200'),
    new Option('--name <name>', 'opensearch: of the index to create there'),
  ];
}

export async function buildOther(options: OtherOptions, io: Io): Promise<void> {
  const area = new LiveArea(io.err, options.json !== true);
  const start = performance.now();
  const skipped = { count: 0 };
  const blank = { count: 0 };
  try {
    await interruptible('Continue with the same command.', (signal) => {
      const work = { options, area, signal, skipped, blank };
      if (options.kind === 'hybrid') return buildHybrid(options, { trust: options.trustServer });
      return locked(options.out, () => (options.kind === 'dense' ? buildDense(work) : loadOpenSearch(work)));
    });
  } finally {
    area.finish();
  }
  const trust = namedServers(options);
  const retriever = await openRetriever(options.out, { trust });
  const { info } = retriever;
  await retriever.close();
  const seconds = (performance.now() - start) / 1000;
  io.out.write(
    options.json
      ? `${JSON.stringify({ directory: path.resolve(options.out), seconds, skipped, blank: blank.count, info }, null, 2)}\n`
      : `${options.out}: ${info.kind}, ${info.passages.toLocaleString('en')} passages in ${clock(seconds)}${
          skipped.count === 0 ? '' : `, ${skipped.count} malformed lines passed over`
        }${
          blank.count === 0 ? '' : `, ${blank.count} without title and text`
        }\nSearch it with: ${shellCommand('search-e1', 'index', 'search', options.out, 'your question', ...trust.flatMap((server) => ['--trust-server', server]))}\n`,
  );
}

/** The servers that this index names from now on: those of these options. */
function namedServers({ kind, embedder, legs, url, trustServer }: OtherOptions): string[] {
  const named = { bm25: [], dense: [embedder], hybrid: legs, opensearch: [url] }[kind];
  const origins = [...named, ...trustServer].map(originOf).filter((origin) => origin !== undefined);
  return [...new Set(origins)];
}

/** One process at a time builds in a folder. Of a build that was refused nothing stays behind. */
export async function locked<T>(folder: string, work: () => Promise<T>): Promise<T> {
  await makeFolder(folder);
  const lock = await acquireLock(folder);
  try {
    return await work();
  } finally {
    await lock.release();
    await rmdir(folder).catch(() => {});
  }
}

interface Work {
  readonly options: OtherOptions;
  readonly area: LiveArea;
  readonly signal: AbortSignal;
  readonly skipped: { count: number };
  readonly blank: { count: number };
}

function corpusOf({ options, skipped, blank }: Work) {
  const onBlank = () => {
    blank.count += 1;
  };
  const onBad = () => {
    skipped.count += 1;
  };
  return readCorpus(options.corpus, { onBlank, ...(options.skipBad ? { onBad } : {}) });
}

async function buildDense(work: Work): Promise<void> {
  const { options, area, signal } = work;
  const { out, type, store, apiKeyEnv, faiss, queryPrefix: query, passagePrefix: passage } = options;
  if (store === 'lancedb') requireLance();
  const local = !/^https?:/i.test(options.embedder);
  const vectors = faiss === undefined ? undefined : await openFaissFlat(faiss);
  const embedder = await openEmbedder(local ? path.resolve(options.embedder) : options.embedder, {
    apiKeyEnv,
    prefixes: { ...(query !== undefined && { query }), ...(passage !== undefined && { passage }) },
  });
  const progress = new Progress(area, faiss === undefined ? 'embedding' : 'copying');
  try {
    await buildDenseIndex({
      folder: out,
      corpus: corpusOf(work),
      embedder,
      faiss: vectors,
      type,
      store,
      onProgress: (done, passages) => progress.show(done, passages),
      signal,
    });
  } finally {
    await embedder.close();
  }
}

async function buildHybrid({ out, legs }: OtherOptions, trust: Trust): Promise<void> {
  const [first, second, ...more] = legs;
  if (first === undefined || second === undefined || more.length > 0)
    throw new UserError(`--legs: expected two retrievers, found ${legs.length}`);
  if (existsSync(path.join(out, 'manifest.json')))
    throw new UserError(`${out}: holds a finished index`, { hint: 'Choose another directory with --out.' });
  const absolute = [first, second].map((leg) => (isUrl(leg) ? leg : path.resolve(leg)));
  const both = [absolute[0]!, absolute[1]!] as const;
  // Opened once, so that two that do not go together are refused here.
  await (await openHybrid(both, trust)).close();
  await writeLegs(path.resolve(out), both);
}

async function loadOpenSearch(work: Work): Promise<void> {
  const { options, area, signal } = work;
  const { out, url, name: index, k1, b } = options;
  const connection = await Connection.open(url);
  const progress = new Progress(area, 'loading');
  try {
    await loadIntoOpenSearch({
      folder: out,
      target: { url: connection.url, index, k1, b },
      connection,
      corpus: corpusOf(work),
      onProgress: (loaded) => progress.show(loaded),
      signal,
    });
  } finally {
    await connection.close();
  }
}

/** Passages done, their rate, and the time left where the end is known. */
class Progress {
  readonly #area: LiveArea;
  readonly #stage: string;
  readonly #started = performance.now();
  #first: number | undefined;

  constructor(area: LiveArea, stage: string) {
    this.#area = area;
    this.#stage = stage;
  }

  show(done: number, all?: number): void {
    // What an interrupted build had done says nothing about the speed of this one.
    this.#first ??= done;
    const rate = ((done - this.#first) * 1000) / (performance.now() - this.#started);
    const figures = `${done.toLocaleString('en')} passages, ${rate.toFixed(rate < 10 ? 1 : 0)} passages/s`;
    const rest = all === undefined || rate === 0 ? '' : `  ${clock((all - done) / rate)} left`;
    const share = all === undefined ? [] : [`${bar(done / all, 32)}  ${Math.floor((100 * done) / all)} %${rest}`];
    this.#area.show({
      lines: [`${this.#stage}  ${figures}`, ...share],
      plain: `${this.#stage}, ${figures}${rest.replace('  ', ', ')}`,
      milestone: this.#stage,
    });
  }
}
