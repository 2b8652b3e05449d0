/**
 * The process that reads a Parquet file for parquet-rows.ts: one row group at a time, handed over in pieces. What a file says of
 * itself is not to be trusted with the main process: a page's header can make the library read in circles, a run of five
 * bytes stand for two thousand million values, and memory that runs out ends whoever asked for it.
 */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import {
  asyncBufferFromFile,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors as pure } from 'hyparquet-compressors';
import { messageOf } from '../base/errors.ts';
import { LINE_BYTES } from '../base/files.ts';
import { type BadByte, decodeUtf8, shown } from '../base/text.ts';

export interface ParquetTask {
  readonly file: string;
  readonly wanted: readonly string[];
}

/** What is asked: the next piece of rows. */
export type ToParquetProcess = 'next';

/** Values of a row that structured cloning would spoil: text that is not UTF-8, and what is no text, number or null. */
export type Cell =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | { readonly bad: BadByte }
  | { readonly shown: string };

export type FromParquetProcess =
  /** `read`: bytes of the file up to the last of these rows, by estimate. */
  | { readonly kind: 'rows'; readonly rows: readonly Readonly<Record<string, Cell>>[]; readonly read: number }
  /** What comes next: a row group whose columns take so many bytes of the file. */
  | { readonly kind: 'group'; readonly bytes: number }
  | { readonly kind: 'other-columns'; readonly present: readonly string[] }
  | { readonly kind: 'broken'; readonly reason: string }
  | { readonly kind: 'end' };

/**
 * What a row group may become, by the bytes that its columns take of the file. Text is packed three to ten times, rarely a
 * hundred times; a few kilobytes may say of themselves that they are gigabytes.
 */
const PAGE = { base: 2 ** 26, perByte: 20, most: 2 ** 28 };
const ROWS = { base: 2 ** 20, perByte: 1 };
const TEXT = { base: 2 ** 26, perByte: 1000 };
/** Characters of one value: as many as a line of JSONL may have bytes. */
const VALUE = LINE_BYTES;
/** Rows and characters of one piece. */
const PIECE_ROWS = 4096;
const PIECE_CHARACTERS = 4 << 20;

class NotUtf8 {
  readonly bad: BadByte;
  constructor(bad: BadByte) {
    this.bad = bad;
  }
}

const parsers = {
  stringFromBytes(bytes: Uint8Array | undefined) {
    // A column that says of itself that it is text may hold numbers.
    if (!(bytes instanceof Uint8Array)) return bytes;
    const text = decodeUtf8(bytes);
    return typeof text === 'string' ? text : new NotUtf8(text);
  },
};

/** Node's own where it has them; each gives at most the bytes that the page's header promises. */
const unbounded: Compressors = {
  ...pure,
  GZIP: (input, length) => gunzipSync(input, { maxOutputLength: length }),
  BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: length }),
  ZSTD: (input, length) => zstdDecompressSync(input, { maxOutputLength: length }),
};
/** Bytes of a page of the present row group, unpacked. */
let pageBytes = PAGE.base;
const compressors: Compressors = Object.fromEntries(
  Object.entries(unbounded).map(([codec, unpack]) => [
    codec,
    (input: Uint8Array, length: number) => {
      if (!(length >= 0 && length <= pageBytes)) throw new Error(`a page of ${length} bytes, at most ${pageBytes}`);
      return length === 0 ? new Uint8Array(0) : unpack!(input, length);
    },
  ]),
);

async function* pieces({ file, wanted }: ParquetTask): AsyncGenerator<FromParquetProcess> {
  const buffer = await asyncBufferFromFile(file);
  const metadata = await parquetMetadataAsync(buffer);
  const present = parquetSchema(metadata).children.map((child) => child.element.name);
  const columns = present.filter((name) => wanted.includes(name));
  if (columns.length === 0) {
    yield { kind: 'other-columns', present };
    return;
  }
  const all = Number(metadata.num_rows);
  let row = 0;
  for (const group of metadata.row_groups) {
    const count = Number(group.num_rows);
    const bytes = bytesOf(group, columns, buffer.byteLength);
    if (!(count >= 0 && row + count <= all && count <= ROWS.base + ROWS.perByte * bytes))
      throw new Error(`a row group of ${count} rows in ${bytes} bytes`);
    pageBytes = Math.min(PAGE.most, PAGE.base + PAGE.perByte * bytes);
    yield { kind: 'group', bytes };
    const rows = await parquetReadObjects({
      ...{ file: buffer, metadata, columns, compressors, parsers },
      ...{ rowStart: row, rowEnd: row + count },
    });
    if (rows.length !== count) throw new Error(`${rows.length} rows where ${count} were promised`);
    let text = 0;
    for (let start = 0; start < count; ) {
      const piece: Record<string, Cell>[] = [];
      for (
        const before = text;
        start < count && piece.length < PIECE_ROWS && text - before < PIECE_CHARACTERS;
        start++
      ) {
        const cells = cellsOf(rows[start]!);
        text += charactersOf(cells, row + start + 1);
        piece.push(cells);
      }
      if (text > TEXT.base + TEXT.perByte * bytes)
        throw new Error(`up to row ${row + start}: ${TEXT.perByte} times as much text as the file has bytes`);
      yield { kind: 'rows', rows: piece, read: Math.round((buffer.byteLength * (row + start)) / all) };
    }
    row += count;
  }
  yield { kind: 'end' };
}

/** What the columns of a row group take of the file. @throws where that is not within the file */
function bytesOf(group: FileMetaData['row_groups'][number], columns: readonly string[], size: number): number {
  let bytes = 0;
  for (const { meta_data: column } of group.columns) {
    if (column === undefined || !columns.includes(column.path_in_schema[0]!)) continue;
    const start = Number(column.dictionary_page_offset || column.data_page_offset);
    const length = Number(column.total_compressed_size);
    if (!(start >= 0 && length >= 0 && start + length <= size))
      throw new Error(`a column at ${start}, of ${length} bytes, in a file of ${size}`);
    bytes += length;
  }
  return bytes;
}

function cellsOf(row: Readonly<Record<string, unknown>>): Record<string, Cell> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, cellOf(value)]));
}

function charactersOf(cells: Readonly<Record<string, Cell>>, row: number): number {
  let sum = 0;
  for (const cell of Object.values(cells)) {
    if (typeof cell !== 'string') continue;
    if (cell.length > VALUE) throw new Error(`row ${row}: a text of ${cell.length} characters, at most ${VALUE}`);
    sum += cell.length;
  }
  return sum;
}

function cellOf(value: unknown): Cell {
  if (value instanceof NotUtf8) return { bad: value.bad };
  if (typeof value === 'object' && value !== null) return { shown: shown(value) };
  return typeof value === 'symbol' || typeof value === 'function' ? undefined : (value as Cell);
}

const source = pieces({ file: process.argv[2]!, wanted: process.argv.slice(3) });
process.on('message', async (_: ToParquetProcess) => {
  const { value } = await source
    .next()
    .catch((error: unknown) => ({ value: { kind: 'broken', reason: messageOf(error) } as const }));
  process.send!((value ?? { kind: 'end' }) satisfies FromParquetProcess);
});
// Ctrl-C reaches all processes of a terminal; the main one decides, and its end, however it comes, is this one's.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());
