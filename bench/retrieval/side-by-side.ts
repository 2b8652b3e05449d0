/** One corpus and its queries: build, open, lists compared, and queries a second of both searchers in alternating rounds. */
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { lucenePeer, ownPeer } from './peers.ts';

export interface Workload {
  readonly name: string;
  /** JSONL, plain or gzip: {id, title, text}. */
  readonly corpus: string;
  readonly queries: readonly string[];
  readonly k: number;
}

export interface Comparison {
  readonly name: string;
  readonly k: number;
  readonly build: { readonly seconds: number; readonly peakRss: number };
  readonly open: { readonly seconds: number };
  /** Resident memory after all searches, in megabytes. */
  readonly searchRss: number;
  /** Queries a second of each round: ranking; ranking and reading the passages; Lucene's ranking. */
  readonly rank: readonly number[];
  readonly read: readonly number[];
  readonly lucene?: {
    readonly buildSeconds: number;
    readonly rank: readonly number[];
    /** Queries whose ten best passages are the same in the same order; and with scores the same to the last bit. */
    readonly sameTop10: number;
    readonly sameScores: number;
  };
}

const SETTINGS = ['0.9', '0.4'] as const;
const oneLine = (text: string) => text.replace(/[\t\n\r]+/g, ' ');

/** @param work a folder for indexes, which are made anew */
export async function compare(
  { name, corpus, queries, k }: Workload,
  work: string,
  rounds: number,
): Promise<Comparison> {
  const say = (text: string) => process.stderr.write(`${name}: ${text}\n`);
  const file = (part: string) => path.join(work, `${name}.${part}`);
  await writeFile(file('queries'), queries.map((query) => `${oneLine(query)}\n`).join(''));
  for (const folder of ['own', 'lucene']) await rm(file(folder), { recursive: true, force: true });

  say('building');
  const builder = ownPeer();
  const build = await builder.ask<Comparison['build']>('build', corpus, file('own'), ...SETTINGS);
  builder.close();
  const own = ownPeer();
  const open = await own.ask<{ seconds: number }>('open', file('own'), file('queries'));
  const lucene = await lucenePeer(work);
  let buildSeconds = 0;
  if (lucene) {
    say("building Lucene's");
    await writeLines(corpus, file('lines'));
    ({ seconds: buildSeconds = 0 } = await lucene.ask('build', file('lines'), file('lucene'), ...SETTINGS));
    await lucene.ask('open', file('lucene'), file('queries'), ...SETTINGS);
  }

  const speed = async (peer: typeof own, command: string) => {
    const { queries: count = 0, seconds = 1 } = await peer.ask(command, k);
    return count / seconds;
  };
  const [rank, read, others]: [number[], number[], number[]] = [[], [], []];
  // The first round warms up both: compilers, page cache.
  for (let round = 0; round <= rounds; round++) {
    say(round === 0 ? 'warming up' : `round ${round} of ${rounds}`);
    const figures = [
      await speed(own, 'time'),
      lucene ? await speed(lucene, 'time') : 0,
      await speed(own, 'read'),
    ] as const;
    if (round === 0) continue;
    rank.push(figures[0]);
    others.push(figures[1]);
    read.push(figures[2]);
  }
  const { rss: searchRss = 0 } = await own.ask('lists', 10, file('own-lists'));
  own.close();
  const result = { name, k, build, open, searchRss, rank, read };
  if (!lucene) return result;
  await lucene.ask('lists', 10, file('lucene-lists'));
  lucene.close();
  const agreement = await compareLists(file('own-lists'), file('lucene-lists'));
  return { ...result, lucene: { buildSeconds, rank: others, ...agreement } };
}

async function compareLists(own: string, others: string): Promise<{ sameTop10: number; sameScores: number }> {
  const parse = async (file: string) =>
    (await readFile(file, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ').map((hit) => hit.split(':')));
  const [ours, theirs] = [await parse(own), await parse(others)];
  let [sameTop10, sameScores] = [0, 0];
  for (const [q, list] of ours.entries()) {
    const other = theirs[q]!;
    if (list.length !== other.length || list.some(([position], i) => position !== other[i]![0])) continue;
    sameTop10 += 1;
    // Java prints the shortest decimal that is the same float.
    if (list.every(([, score], i) => score === undefined || Math.fround(Number(other[i]![1])) === Number(score)))
      sameScores += 1;
  }
  return { sameTop10, sameScores };
}

/** The passages as Lucene's peer reads them: title and text on one line. */
async function writeLines(corpus: string, to: string): Promise<void> {
  const raw = createReadStream(corpus);
  const input = corpus.endsWith('.gz') ? raw.pipe(createGunzip()) : raw;
  await pipeline(async function* () {
    for await (const line of createInterface({ input })) {
      const { title, text } = JSON.parse(line) as { title: string; text: string };
      yield `${oneLine(`${title} ${text}`)}\n`;
    }
  }, createWriteStream(to));
}
