/**
 * search-e1 as LucenePeer.java drives Lucene: one thread, no cache, one JSON line a reply.
 *
 *   build CORPUS DIR k1 b       open DIR QUERIES.txt       lists K FILE       time K       read K (the passages' text too)
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { DiskBm25 } from '../../src/retrieval/disk-bm25.ts';
import { buildIndex } from '../../src/retrieval/index/build.ts';

let index: DiskBm25;
let queries: string[];

/** Queries asked together, as a trainer asks them. */
const BATCH = 256;
async function inBatches(ask: (batch: readonly string[]) => Promise<unknown>): Promise<void> {
  for (let start = 0; start < queries.length; start += BATCH) await ask(queries.slice(start, start + BATCH));
}

const seconds = async (work: () => Promise<unknown>) => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};

const commands: Record<string, (...words: string[]) => Promise<object>> = {
  async build(corpus, out, k1, b) {
    const options = { corpus: [corpus!], out: out!, analyzer: 'english', length: 'lucene', memory: 2e9 } as const;
    return { seconds: await seconds(() => buildIndex({ ...options, k1: Number(k1), b: Number(b) })) };
  },
  async open(folder, file) {
    queries = (await readFile(file!, 'utf8')).trimEnd().split('\n');
    return {
      seconds: await seconds(async () => {
        index = await DiskBm25.open(folder!, { workers: 0, cacheBytes: 0 });
      }),
    };
  },
  async lists(k, file) {
    const lists = await index.rank(queries, Number(k));
    const line = (positions: Uint32Array, scores: Float64Array) =>
      Array.from(positions, (position, i) => `${position}:${scores[i]}`).join(' ');
    await writeFile(file!, lists.map(({ positions, scores }) => `${line(positions, scores)}\n`).join(''));
    return {};
  },
  async time(k) {
    return {
      queries: queries.length,
      seconds: await seconds(() => inBatches((batch) => index.rank(batch, Number(k)))),
    };
  },
  async read(k) {
    return {
      queries: queries.length,
      seconds: await seconds(() => inBatches((batch) => index.search(batch, Number(k)))),
    };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split('\t');
  const reply = await commands[command!]!(...words);
  const { maxRSS } = process.resourceUsage();
  const megabytes = (bytes: number) => Math.round(bytes / 1e6);
  process.stdout.write(
    `${JSON.stringify({ ...reply, rss: megabytes(process.memoryUsage.rss()), peakRss: megabytes(maxRSS * 1024) })}\n`,
  );
}
