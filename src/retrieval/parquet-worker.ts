/**
 * The thread that reads a Parquet file for parquet-rows.ts: one row group at a time, handed over in pieces. What a file says of
 * itself is not to be trusted with the main thread: a page's header can make the library read in circles, a run of five
 * bytes stand for two thousand million values. This thread has a heap of its own with a limit, and can be ended.
 */
import { parentPort, workerData } from 'node:worker_threads';
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
import { type BadByte, decodeUtf8, shown } from '../base/text.ts';

export interface ParquetWorkerData {
  readonly file: string;
  readonly wanted: readonly string[];
}

/** What is asked: the next piece of rows. */
export type ToParquetWorker = 'next';

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

export type FromParquetWorker =
  /** `read`: bytes of the file up to the last of these rows, by estimate. */
  | { readonly kind: 'rows'; readonly rows: readonly Readonly<Record<string, Cell>>[]; readonly read: number }
  /** What comes next: a row group whose columns take so many bytes of the file. */
  | { readonly kind: 'group'; readonly bytes: number }
  | { readonly kind: 'other-columns'; readonly present: readonly string[] }
  | { readonly kind: 'broken'; readonly reason: string }
  | { readonly kind: 'end' };

/** A page that is larger when unpacked is no page of text. */
const PAGE_BYTES = 2 ** 28;
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
    if (bytes === undefined) return undefined;
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
const compressors: Compressors = Object.fromEntries(
  Object.entries(unbounded).map(([codec, unpack]) => [
    codec,
    (input: Uint8Array, length: number) => {
      if (!(length >= 0 && length <= PAGE_BYTES)) throw new Error(`a page of ${length} bytes`);
      return length === 0 ? new Uint8Array(0) : unpack!(input, length);
    },
  ]),
);

async function* pieces({ file, wanted }: ParquetWorkerData): AsyncGenerator<FromParquetWorker> {
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
    // A row takes at least a bit of each column; two thousand million of them are a header's invention.
    if (!(Number.isSafeInteger(count) && count >= 0 && row + count <= all))
      throw new Error(`a row group of ${count} rows`);
    yield { kind: 'group', bytes };
    const rows = await parquetReadObjects({
      ...{ file: buffer, metadata, columns, compressors, parsers },
      ...{ rowStart: row, rowEnd: row + count },
    });
    if (rows.length !== count) throw new Error(`${rows.length} rows where ${count} were promised`);
    for (let start = 0; start < count; ) {
      const piece: Record<string, Cell>[] = [];
      for (let characters = 0; start < count && piece.length < PIECE_ROWS && characters < PIECE_CHARACTERS; start++) {
        const cells = cellsOf(rows[start]!);
        for (const cell of Object.values(cells)) if (typeof cell === 'string') characters += cell.length;
        piece.push(cells);
      }
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

function cellOf(value: unknown): Cell {
  if (value instanceof NotUtf8) return { bad: value.bad };
  if (typeof value === 'object' && value !== null) return { shown: shown(value) };
  return typeof value === 'symbol' || typeof value === 'function' ? undefined : (value as Cell);
}

const source = pieces(workerData as ParquetWorkerData);
parentPort!.on('message', async (_: ToParquetWorker) => {
  const { value } = await source
    .next()
    .catch((error: unknown) => ({ value: { kind: 'broken', reason: messageOf(error) } as const }));
  parentPort!.postMessage((value ?? { kind: 'end' }) satisfies FromParquetWorker);
});
