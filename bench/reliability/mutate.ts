/**
 * Changes every kind of file that retrieval reads, and counts what comes of it. Each changed file is read in a process of its
 * own (mutate-child.ts) that may take 10 seconds of processor time and 500 MB.
 *
 *   node bench/reliability/mutate.ts [--each 40] [--seed 1] [--only corpus.parquet] [--keep FOLDER]
 *
 * right: what the sound file gives · refused: a sentence that names the file · as it stands: other text, in files without
 * checksums · wrong: other results from files with checksums · crash: a stack trace · hang, memory: beyond the limits.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Random, streamKey } from '../../src/base/random.ts';
import { readCorpus } from '../../src/retrieval/corpus.ts';
import { buildDenseIndex } from '../../src/retrieval/dense/build.ts';
import { openLocalEmbedder } from '../../src/retrieval/dense/encoder/local-embedder.ts';
import { writeTinyEncoder } from '../../src/retrieval/dense/testing/tiny-encoder.ts';
import { writeLegs } from '../../src/retrieval/hybrid-manifest.ts';
import { buildIndex } from '../../src/retrieval/index/build.ts';

const SECONDS = 10;
const MEGABYTES = 500;

const { values: given } = parseArgs({
  options: {
    each: { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    keep: { type: 'string' },
    parquet: { type: 'string', default: '../shared/cases/retrieval/parquet' },
  },
});

/** What is read, and how; a folder's files are changed one by one. */
interface Subject {
  readonly name: string;
  readonly how: 'corpus' | 'index' | 'qrels' | 'queries';
  /** The file to change, within the folder to be copied for it. */
  readonly folder: string;
  readonly file: string;
  /** What is opened, within the folder. */
  readonly opened: string;
  readonly checksums: boolean;
}

type Outcome = 'right' | 'refused' | 'as it stands' | 'wrong' | 'crash' | 'hang' | 'memory';

let child: ChildProcess | undefined;
const work = await mkdtemp(path.join(tmpdir(), 'mutate-'));
const subjects = (await prepare()).filter(({ name }) => given.only === undefined || name.includes(given.only));
const table = new Map<string, Map<Outcome, number>>();
let [worst, slowest] = [0, 0];
for (const subject of subjects) {
  const right = await run(subject, subject.folder);
  if (right.outcome !== 'read') throw new Error(`${subject.name}: ${JSON.stringify(right)}`);
  const counts = new Map<Outcome, number>();
  for (let i = 0; i < Number(given.each); i++) {
    const random = new Random(streamKey(Number(given.seed), subject.name, i));
    const copy = path.join(work, 'copy');
    await cp(subject.folder, copy, { recursive: true });
    const file = path.join(copy, subject.file);
    const { bytes, change } = mutate(await readFile(file), i, random);
    await writeFile(file, bytes);
    const found = await run(subject, copy);
    worst = Math.max(worst, found.megabytes);
    slowest = Math.max(slowest, found.seconds);
    const outcome =
      found.outcome !== 'read'
        ? found.outcome
        : found.result === right.result
          ? 'right'
          : subject.checksums
            ? 'wrong'
            : 'as it stands';
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    if (['wrong', 'crash', 'hang', 'memory'].includes(outcome)) {
      process.stderr.write(`${outcome}: ${subject.name}, ${i}: ${change}: ${found.message?.slice(0, 300)}\n`);
      if (given.keep)
        await cp(copy, path.join(given.keep, `${subject.name.replace(/\W+/g, '-')}-${i}`), { recursive: true });
    }
    await rm(copy, { recursive: true });
  }
  table.set(subject.name, counts);
  process.stdout.write(`${JSON.stringify({ subject: subject.name, ...Object.fromEntries(counts) })}\n`);
}
const total: Record<string, number> = {};
for (const counts of table.values()) for (const [outcome, n] of counts) total[outcome] = (total[outcome] ?? 0) + n;
process.stdout.write(
  `${JSON.stringify({ total, files: subjects.length, megabytes: Math.round(worst), seconds: Number(slowest.toFixed(1)) })}\n`,
);
child?.kill();
await rm(work, { recursive: true });

/** By turns: some bytes flipped, the end cut off, a stretch of zeros, a stretch taken out, a stretch repeated. */
function mutate(bytes: Buffer, turn: number, random: Random): { bytes: Buffer; change: string } {
  const place = () => random.below(Math.max(1, bytes.length));
  const stretch = 1 + random.below(64);
  const at = place();
  switch (turn % 5) {
    case 0: {
      const places = Array.from({ length: 1 + random.below(3) }, place);
      for (const each of places) if (bytes.length > 0) bytes[each]! ^= 1 << random.below(8);
      return { bytes, change: `bits flipped at ${places}` };
    }
    case 1:
      return { bytes: bytes.subarray(0, at), change: `cut at ${at}` };
    case 2:
      return {
        bytes: Buffer.from(bytes).fill(0, at, Math.min(bytes.length, at + stretch)),
        change: `${stretch} zeros at ${at}`,
      };
    case 3:
      return {
        bytes: Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + stretch)]),
        change: `${stretch} bytes out at ${at}`,
      };
    default:
      return {
        bytes: Buffer.concat([bytes.subarray(0, at + stretch), bytes.subarray(at)]),
        change: `${stretch} bytes twice at ${at}`,
      };
  }
}

interface Found {
  readonly outcome: 'read' | 'refused' | 'crash' | 'hang' | 'memory';
  readonly result?: string;
  readonly message?: string;
  readonly megabytes: number;
  readonly seconds: number;
}

/** Has the child read it, and watches what that takes; a child that went too far is replaced. */
async function run({ how, opened }: Subject, folder: string): Promise<Found> {
  child ??= fork(new URL('./mutate-child.ts', import.meta.url), { execArgv: ['--no-warnings'] });
  const own = child;
  const pid = own.pid!;
  const begun = cpuSeconds(pid);
  let megabytes = 0;
  return new Promise((resolve) => {
    const end = (found: Pick<Found, 'outcome' | 'result' | 'message'>, replace: boolean) => {
      clearInterval(timer);
      const seconds = replace ? SECONDS : cpuSeconds(pid) - begun;
      own.removeAllListeners();
      if (replace) {
        own.kill('SIGKILL');
        child = undefined;
      }
      resolve({ ...found, megabytes, seconds });
    };
    const timer = setInterval(() => {
      megabytes = Math.max(megabytes, residentMegabytes(pid));
      if (megabytes > MEGABYTES) end({ outcome: 'memory' }, true);
      else if (cpuSeconds(pid) - begun > SECONDS) end({ outcome: 'hang' }, true);
    }, 20);
    own.once('message', (answer: Pick<Found, 'outcome' | 'result' | 'message'>) =>
      end(answer, answer.outcome === 'crash'),
    );
    own.once('exit', (code, signal) => end({ outcome: 'crash', message: `ended: ${code ?? signal}` }, true));
    own.send({ how, place: path.join(folder, opened), folder });
  });
}

function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

function residentMegabytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1000;
  } catch {
    return 0;
  }
}

async function prepare(): Promise<Subject[]> {
  const made: Subject[] = [];
  const words = ['oslo', 'fjord', 'paris', 'seine', 'rome', 'tiber', 'river', 'café'];
  const passages = Array.from({ length: 40 }, (_, i) => ({
    id: `p${i}`,
    title: `Title ${i % 5}`,
    text:
      Array.from({ length: 3 + (i % 20) }, (_, j) => words[(i * j + j + i) % words.length]).join(' ') +
      (i === 7 ? ' often'.repeat(300) : ''),
  }));
  const lines = passages.map((passage) => `${JSON.stringify(passage)}\n`).join('');
  const files: Record<string, string | Buffer> = {
    'corpus.jsonl': lines,
    'corpus.jsonl.gz': gzipSync(lines),
    'queries.jsonl': passages
      .slice(0, 12)
      .map(({ id, text }, i) => `${JSON.stringify({ _id: `q${i}`, text, gold_ids: [id] })}\n`)
      .join(''),
    'qrels.tsv': `query-id\tcorpus-id\tscore\n${passages
      .slice(0, 12)
      .map(({ id }, i) => `q${i}\t${id}\t${1 + (i % 2)}\n`)
      .join('')}`,
    'qrels.json': JSON.stringify(Object.fromEntries(passages.slice(0, 12).map(({ id }, i) => [`q${i}`, { [id]: 1 }]))),
  };
  const base = path.join(work, 'files');
  await mkdir(base);
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(base, name), content);
  const alone = async (name: string, how: Subject['how'], checksums: boolean, beside: readonly string[] = []) => {
    const folder = path.join(work, name.replace(/\W/g, '_'));
    await mkdir(folder);
    for (const each of [name, ...beside]) await cp(path.join(base, each), path.join(folder, each));
    made.push({ name, how, folder, file: name, opened: name, checksums });
  };
  await alone('corpus.jsonl', 'corpus', false);
  // Its checksum is over the whole: what is read before a damage is found is what the file says.
  await alone('corpus.jsonl.gz', 'corpus', true);
  await alone('queries.jsonl', 'queries', false);
  await alone('qrels.tsv', 'qrels', false, ['queries.jsonl']);
  await alone('qrels.json', 'qrels', false, ['queries.jsonl']);
  for (const name of await readdir(given.parquet).catch(() => [] as string[])) {
    if (!/^(groups|v2|delta|dict|nulls|binary|int64|emptygroup)\.parquet$/.test(name)) continue;
    const folder = path.join(work, name.replace(/\W/g, '_'));
    await mkdir(folder);
    await cp(path.join(given.parquet, name), path.join(folder, name));
    made.push({ name, how: 'corpus', folder, file: name, opened: name, checksums: false });
  }
  const corpus = path.join(base, 'corpus.jsonl');
  const whole = path.join(work, 'indexes');
  await mkdir(whole);
  const settings = { analyzer: 'english', k1: 0.9, b: 0.4, length: 'lucene', memory: 2e9, workers: 1 } as const;
  await buildIndex({ corpus: [corpus], out: path.join(whole, 'bm25'), ...settings });
  const model = await writeTinyEncoder(path.join(whole, 'model'));
  const embedder = await openLocalEmbedder(model, { threads: 1 });
  await buildDenseIndex({
    folder: path.join(whole, 'dense'),
    corpus: readCorpus([corpus]),
    embedder,
    type: 'float32',
    store: 'flat',
  });
  await embedder.close();
  // The model moves with the index.
  await writeLegs(path.join(whole, 'hybrid'), [path.join(whole, 'bm25'), corpus]);
  await cp(corpus, path.join(whole, 'corpus.jsonl'));
  await writeLegs(path.join(whole, 'hybrid'), [path.join(whole, 'bm25'), path.join(whole, 'corpus.jsonl')]);
  for (const kind of ['bm25', 'dense', 'hybrid'])
    for (const file of await readdir(path.join(whole, kind)))
      made.push({
        name: `${kind}/${file}`,
        how: 'index',
        folder: whole,
        file: `${kind}/${file}`,
        opened: kind,
        checksums: !/^hybrid|dense\/manifest/.test(`${kind}/${file}`),
      });
  return made;
}
