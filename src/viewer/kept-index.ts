/**
 * An index kept in a file, so that a large run opens at once the next time: beside the run where it may be written.
 *
 *     the CRC-32 of all that follows, in eight hexadecimal digits, and a line break
 *     a line of JSON: versions, and of each shard its stamp and numbers of bytes; then for each shard its rows by columns, as JSON,
 *     and its texts
 *
 * It holds nothing that is not in the shards. One that is damaged, of another version or of other shards is made anew.
 */
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { writeFileAtomic } from '../base/files.ts';
import { placeOf } from '../runs/rows/row-maker.ts';
import { packRows, ROWS_VERSION, unpackRows } from '../runs/rows/rows-file.ts';
import type { Segment } from './segment.ts';

export const INDEX_FILE = 'viewer-index.bin';
const VERSION = 3;
/** Digits of the checksum, and a line break. */
const SUM = 9;

const natural = z.int().min(0);
const headSchema = z.strictObject({
  version: z.literal(VERSION),
  /** Of the rows' form and rules. */
  rows: z.literal(ROWS_VERSION),
  /** What rows were made with besides the shards, see `Known`. */
  known: z.string(),
  segments: z.array(
    z.strictObject({
      shard: z.string(),
      size: natural,
      modified: z.number(),
      ending: z.string(),
      /** Bytes of rows, texts, and the three arrays of numbers. */
      bytes: z.tuple([natural, natural, natural, natural, natural]),
    }),
  ),
});

export async function writeIndex(file: string, known: string, segments: readonly Segment[]): Promise<void> {
  const bodies: Uint8Array[][] = [];
  for (const { rows, pieces } of segments) {
    const numbers = pieces ? [pieces.starts, pieces.rowStarts, pieces.rowTexts] : [];
    const arrays = numbers.map((array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    const none = new Uint8Array();
    bodies.push([
      Buffer.from(JSON.stringify(packRows(rows))),
      pieces?.bytes ?? none,
      ...(pieces ? arrays : [none, none, none]),
    ]);
    // Who filters meanwhile does not wait.
    await setImmediate();
  }
  const head = {
    version: VERSION,
    rows: ROWS_VERSION,
    known,
    segments: segments.map(({ shard, size, modified, ending }, i) => ({
      ...{ shard, size, modified, ending },
      bytes: bodies[i]!.map(({ length }) => length),
    })),
  };
  const parts = [Buffer.from(`${JSON.stringify(head)}\n`), ...bodies.flat()];
  const sum = parts.reduce((sum, part) => crc32(part, sum), 0);
  await writeFileAtomic(file, [Buffer.from(sumText(sum)), ...parts]);
}

const sumText = (sum: number) => `${sum.toString(16).padStart(8, '0')}\n`;

/** The segments of an index by shard; none where there is no index that can be used. */
export async function readIndex(file: string, known: string): Promise<Map<string, Segment>> {
  try {
    const whole = await readFile(file);
    const bytes = whole.subarray(SUM);
    if (whole.toString('latin1', 0, SUM) !== sumText(crc32(bytes))) return new Map();
    const end = bytes.indexOf(10);
    const head = headSchema.parse(JSON.parse(bytes.toString('utf8', 0, end)));
    if (head.known !== known) return new Map();
    let at = end + 1;
    const take = (length: number) => {
      at += length;
      if (at > bytes.length) throw new RangeError('cut off');
      return bytes.subarray(at - length, at);
    };
    const numbers = (length: number) => new Uint32Array(new Uint8Array(take(length)).buffer);
    return new Map(
      head.segments.map(({ bytes: [rows, texts, starts, rowStarts, rowTexts], ...stamp }) => {
        const all = unpackRows(JSON.parse(take(rows).toString()), placeOf(stamp.shard));
        const pieces = {
          bytes: take(texts),
          starts: numbers(starts),
          rowStarts: numbers(rowStarts),
          rowTexts: numbers(rowTexts),
        };
        return [stamp.shard, { ...stamp, rows: all, pieces: starts === 0 ? undefined : pieces }];
      }),
    );
  } catch {
    return new Map();
  }
}
