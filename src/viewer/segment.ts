/** The index of one shard: a row for each line, and the texts to search. Made from the shard, or read from where an index was kept. */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { messageOf, UserError } from '../base/errors.ts';
import { fileError } from '../base/files.ts';
import { bitOf, type Place, type Row } from '../runs/rows/row.ts';
import { type Brief, placeOf, RowMaker, withFlatGroups } from '../runs/rows/row-maker.ts';
import { briefOfAnswer, briefOfTrajectory, type Known, searched, tellsItself, textsOfTrajectory } from './read-row.ts';
import type { Stamp } from './stamps.ts';
import { PieceMaker, type TextPieces } from './text-pieces.ts';

export interface Segment extends Stamp {
  readonly rows: readonly Row[];
  /** Undefined before they are read, and beyond the bound on texts in memory. */
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

/** The texts of a shard whose rows are known, which a run writes of shards of the newest schema alone. */
export function textsOfShard(file: string, bytes: Buffer): TextPieces {
  const maker = new PieceMaker();
  let line = 0;
  for (const [from, to] of lineSpans(bytes))
    maker.addRow(parsed(file, line++, () => textsOfTrajectory(bytes.subarray(from, to))));
  return maker.pieces();
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
