/** The index of one shard: a row for each line, and the texts to search. Made from the shard, or read from where an index was kept. */
import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { messageOf, UserError } from '../base/errors.ts';
import { fileError } from '../base/files.ts';
import { placeOfShard } from '../evolve/shards.ts';
import { type Brief, briefOfAnswer, briefOfTrajectory, type Known, RowMaker, tellsItself } from './read-row.ts';
import { bitOf, type Place, type Row } from './row.ts';
import { PieceMaker, type TextPieces } from './text-pieces.ts';

/** Which bytes an index is of. A shard is never written in place, so that size and time tell versions apart while one looks on. */
export interface Stamp {
  readonly shard: string;
  readonly size: number;
  readonly modified: number;
  /** The last eight bytes of a gzip file, CRC-32 and length of what is in it: they tell contents apart, and stay in a copy. */
  readonly ending: string;
}

/** Of a log, which is only ever added to, nothing. */
export async function endingOf(file: string, size: number): Promise<string> {
  if (!file.endsWith('.gz') || size < 8) return '';
  const handle = await open(file);
  try {
    return (await handle.read(Buffer.alloc(8), 0, 8, size - 8)).buffer.toString('hex');
  } finally {
    await handle.close();
  }
}

export interface Segment extends Stamp {
  readonly rows: readonly Row[];
  /** Undefined beyond the bound on texts in memory. */
  readonly pieces: TextPieces | undefined;
}

/** Most bytes that a shard may unpack to. */
const MOST_UNPACKED = 2 ** 30;
const unpack = promisify(gunzip);

/** All bytes of a shard, unpacked. */
export async function readShardBytes(file: string): Promise<Buffer> {
  const packed = await readFile(file).catch((error: unknown) => {
    throw fileError(error, file, 'read');
  });
  if (!file.endsWith('.gz')) return packed;
  return unpack(packed, { maxOutputLength: MOST_UNPACKED }).catch((error: unknown) => {
    throw new UserError(`${file}: cannot be unpacked (${messageOf(error)})`);
  });
}

/** The lines of a file's bytes, as [from, to); a last line without its end is one that is still being written. */
export function* lineSpans(bytes: Buffer): Generator<readonly [from: number, to: number]> {
  for (let from = 0; ; ) {
    const to = bytes.indexOf(10, from);
    if (to < 0) return;
    yield [from, to];
    from = to + 1;
  }
}

/** A line of a shard, from 0. */
export function lineOfBytes(bytes: Buffer, line: number): string | undefined {
  let number = 0;
  for (const [from, to] of lineSpans(bytes)) if (number++ === line) return bytes.toString('utf8', from, to);
  return undefined;
}

export function placeOf(shard: string): Place {
  const place = placeOfShard(shard);
  if (place === undefined) return { shard, part: 'step', stage: shard, step: null, mode: null };
  const { part, stage } = place;
  const step = 'step' in place ? place.step : null;
  const mode = place.part === 'evaluation' ? `${place.mode.decoding}-${place.mode.searches}` : null;
  return { shard, part, stage, step, mode };
}

const nothingKnown: Known = { questions: new Map(), decode: undefined };

/** @param bytes of the file, unpacked  @param knownOf asked only by shards of earlier versions */
export async function indexShard(
  file: string,
  stamp: Stamp,
  bytes: Buffer,
  knownOf: () => Promise<Known>,
  withTexts: boolean,
): Promise<Segment> {
  const known = tellsItself(bytes) ? nothingKnown : await knownOf();
  const place = placeOf(stamp.shard);
  const [makeRow, makePieces] = [new RowMaker(), new PieceMaker()];
  const rows: Row[] = [];
  for (const [from, to] of lineSpans(bytes)) {
    const brief = parsed(file, rows.length, () => briefOfTrajectory(bytes.subarray(from, to), known));
    rows.push(makeRow.row(brief, place, rows.length));
    if (withTexts) makePieces.addRow(searched(brief));
  }
  return { ...stamp, rows: withFlatGroups(rows), pieces: withTexts ? makePieces.pieces() : undefined };
}

/** The log of an evaluation. Of several lines about one question the last counts, unless it is a failure and an earlier one is not. */
export async function indexAnswers(file: string, stamp: Stamp, withTexts: boolean): Promise<Segment> {
  const places = new Map<string, Place>();
  const [makeRow, makePieces] = [new RowMaker(), new PieceMaker()];
  const lines: { brief: Brief; row: Row }[] = [];
  const at = new Map<string, number>();
  let number = 0;
  const add = (line: string) => {
    const brief = parsed(file, number, () => briefOfAnswer(line));
    const { baseline } = brief;
    const place = places.get(baseline) ?? {
      shard: stamp.shard,
      part: 'answers',
      stage: baseline,
      step: null,
      mode: null,
    };
    places.set(baseline, place);
    const row = makeRow.row(brief, place, number++);
    const key = JSON.stringify([baseline, brief.suite, brief.questionId]);
    const before = at.get(key);
    if (before === undefined) at.set(key, lines.push({ brief, row }) - 1);
    else if ((row.marks & bitOf('failed')) === 0 || (lines[before]!.row.marks & bitOf('failed')) !== 0)
      lines[before] = { brief, row };
  };
  let rest = '';
  // A log may be larger than memory should hold.
  for await (const part of createReadStream(file, { encoding: 'utf8', end: Math.max(0, stamp.size - 1) })) {
    const parts = (rest + part).split('\n');
    rest = parts.pop()!;
    for (const line of parts) add(line);
  }
  if (withTexts) for (const { brief } of lines) makePieces.addRow(searched(brief));
  return { ...stamp, rows: lines.map(({ row }) => row), pieces: withTexts ? makePieces.pieces() : undefined };
}

function parsed<T>(file: string, line: number, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UserError(`${file}:${line + 1}: not a trajectory (${messageOf(error)})`, { cause: error });
  }
}

function searched({ question, gold, answer, policy, shown }: Brief): string[] {
  return [question ?? '', ...(gold ?? []), answer ?? '', ...policy, ...(shown ?? [])].filter((text) => text !== '');
}

/** Groups of a training step or a pool whose rewards are all equal. */
function withFlatGroups(rows: readonly Row[]): Row[] {
  const groups = Map.groupBy(rows, ({ about }) => about.id);
  const flat = new Set<string>();
  for (const [id, group] of groups) {
    const counted = group.filter((row) => (row.marks & bitOf('failed')) === 0);
    const isGroup = group[0]!.place.part === 'step' || group[0]!.place.part === 'pool';
    if (isGroup && counted.length > 1 && counted.every(({ reward }) => reward === counted[0]!.reward)) flat.add(id);
  }
  return rows.map((row) => (flat.has(row.about.id) ? { ...row, marks: row.marks | bitOf('flat') } : row));
}
