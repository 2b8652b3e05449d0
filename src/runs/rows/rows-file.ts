/**
 * The rows of a shard in a file of their own, written beside the run as it writes the shard, so that a large run opens without its
 * shards being read: index/SHARD.json.gz. Nothing rests on it. It follows from the shard, of which it says which bytes it is of;
 * one that is missing, damaged (gzip has a checksum) or of another shard is passed over, and the shard is read.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { writeFileAtomic } from '../../base/files.ts';
import type { Trajectory } from '../../rollout/trajectory.ts';
import type { ShardStamp } from '../shards.ts';
import type { Place, Row } from './row.ts';
import { briefOf, placeOf, RowMaker, withFlatGroups } from './row-maker.ts';

/** The folder in a run. */
export const ROWS_FOLDER = 'index';
/** Of the form below, and of the rules by which rows are made: another number where one of them changes. */
export const ROWS_VERSION = 1;
const MOST_BYTES = 2 ** 28;

const figures = [
  'line',
  'rollout',
  'reward',
  'advantage',
  'searches',
  'tokens',
  'grounded',
  'retrieved',
  'marks',
] as const;
type FigureColumns = { readonly [name in (typeof figures)[number]]: readonly Row[name][] };

/** Rows of one place by columns: questions, answers and reasons once, and of each row their number. */
export interface PackedRows extends FigureColumns {
  readonly abouts: readonly Row['about'][];
  readonly about: readonly number[];
  readonly answers: readonly Row['answer'][];
  readonly answer: readonly number[];
  readonly stops: readonly Row['stop'][];
  readonly stop: readonly number[];
}

export function packRows(rows: readonly Row[]): PackedRows {
  const column = <K extends keyof Row>(name: K): Row[K][] => rows.map((row) => row[name]);
  const [abouts, about] = numbered(column('about'));
  const [answers, answer] = numbered(column('answer'));
  const [stops, stop] = numbered(column('stop'));
  const own = Object.fromEntries(figures.map((name) => [name, column(name)])) as unknown as FigureColumns;
  return { abouts, about, answers, answer, stops, stop, ...own };
}

/** The distinct values in order of first appearance, and of each value its number. */
function numbered<T>(values: readonly T[]): [distinct: T[], numbers: number[]] {
  const numbers = new Map<T, number>();
  const each = values.map((value) => {
    const number = numbers.get(value) ?? numbers.size;
    numbers.set(value, number);
    return number;
  });
  return [[...numbers.keys()], each];
}

export function unpackRows(packed: PackedRows, place: Place): Row[] {
  const { abouts, answers, stops, about, answer, stop, rollout, reward, advantage } = packed;
  const { searches, tokens, grounded, retrieved, marks } = packed;
  return packed.line.map((line, i) => ({
    place,
    line,
    about: abouts[about[i]!]!,
    rollout: rollout[i]!,
    answer: answers[answer[i]!]!,
    reward: reward[i]!,
    advantage: advantage[i]!,
    searches: searches[i]!,
    tokens: tokens[i]!,
    stop: stops[stop[i]!]!,
    grounded: grounded[i]!,
    retrieved: retrieved[i]!,
    marks: marks[i]!,
  }));
}

export const rowsFile = (run: string, shard: string): string => path.join(run, ROWS_FOLDER, `${shard}.json.gz`);

/**
 * Never fails: who cannot write it will fail at what the run rests on, and says so there. It is not waited for until it is on the
 * disk, as shards are; what a machine's end leaves of it is passed over.
 */
export async function writeRowsFile(
  run: string,
  shard: string,
  stamp: ShardStamp,
  trajectories: readonly Trajectory[],
): Promise<void> {
  try {
    const rows = rowsOf(shard, trajectories);
    if (rows === undefined) return;
    const { size, ending } = stamp;
    const value = { version: ROWS_VERSION, shard, size, ending, ...packRows(rows) };
    const bytes = await promisify(gzip)(JSON.stringify(value), { level: 6 });
    // Not in place: a fork of the run may share the file.
    await writeFileAtomic(rowsFile(run, shard), bytes, { durable: false });
  } catch {
    // As said above.
  }
}

/** Undefined where the trajectories do not say all that rows say. */
export function rowsOf(shard: string, trajectories: readonly Trajectory[]): readonly Row[] | undefined {
  const [maker, place] = [new RowMaker(), placeOf(shard)];
  const rows: Row[] = [];
  for (const [line, trajectory] of trajectories.entries()) {
    const brief = briefOf(trajectory);
    if (brief === undefined) return undefined;
    rows.push(maker.row(brief, place, line));
  }
  return withFlatGroups(rows);
}

/** Undefined where there is none of this shard that can be used. */
export async function readRowsFile(
  run: string,
  shard: string,
  { size, ending }: Omit<ShardStamp, 'hash'>,
): Promise<Row[] | undefined> {
  try {
    const bytes = await promisify(gunzip)(await readFile(rowsFile(run, shard)), { maxOutputLength: MOST_BYTES });
    const value = JSON.parse(bytes.toString());
    const isOfShard =
      value.version === ROWS_VERSION && value.shard === shard && value.size === size && value.ending === ending;
    return isOfShard ? unpackRows(value, placeOf(shard)) : undefined;
  } catch {
    return undefined;
  }
}
