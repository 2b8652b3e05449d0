/** Parquet files as a stream of rows, one row group in memory at a time. */
import {
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { messageOf, UserError } from '../base/errors.ts';
import { fileError } from '../base/files.ts';
import { type BadByte, decodeUtf8 } from '../base/text.ts';

/** One row: its number (from 1), its values by column, and how many of the file's bytes have been read, by estimate. */
export interface ParquetRow {
  readonly row: number;
  readonly read: number;
  readonly value: Record<string, unknown>;
}

/** A value whose bytes are not UTF-8: refused where it is used, by row and field. */
export class NotText {
  readonly bad: BadByte;

  constructor(bad: BadByte) {
    this.bad = bad;
  }
}

const parsers = {
  stringFromBytes(bytes: Uint8Array | undefined) {
    if (bytes === undefined) return undefined;
    const text = decodeUtf8(bytes);
    return typeof text === 'string' ? text : new NotText(text);
  },
};

/** All rows, with those of the wanted columns that the file has. @throws UserError naming the file: absent, damaged, or without any of the wanted columns */
export async function* readParquetRows(file: string, wanted: readonly string[]): AsyncGenerator<ParquetRow> {
  const buffer = await asyncBufferFromFile(file).catch((error) => {
    throw fileError(error, file, 'read');
  });
  const metadata = await reading(file, () => parquetMetadataAsync(buffer));
  const columns = wantedColumns(metadata, wanted, file);
  let row = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = row + Number(group.num_rows);
    const values = await reading(file, () =>
      parquetReadObjects({ file: buffer, metadata, columns, rowStart: row, rowEnd, compressors, parsers }),
    );
    const read = Math.round((buffer.byteLength * rowEnd) / Number(metadata.num_rows));
    for (const value of values) yield { row: ++row, read, value };
  }
}

function wantedColumns(metadata: FileMetaData, wanted: readonly string[], file: string): string[] {
  const present = parquetSchema(metadata).children.map((child) => child.element.name);
  const columns = present.filter((name) => wanted.includes(name));
  if (columns.length === 0)
    throw new UserError(`${file}: none of the columns ${wanted.join(', ')}; found ${present.join(', ')}`, {
      hint: 'Rename the columns that hold the passages.',
    });
  return columns;
}

async function reading<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new UserError(`${file}: cannot be read as Parquet (${messageOf(error)})`, {
      hint: 'Fetch the file again.',
      cause: error,
    });
  }
}
