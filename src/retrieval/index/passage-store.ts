/**
 * The passages of an index on disk: one file with a line `[id,title,text]` for each, read at random by a table of where
 * the lines end. Only the table is in memory, 12 bytes a passage; the system's page cache does the rest.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { UserError } from '../../base/errors.ts';
import { fileError } from '../../base/files.ts';
import { parsePassageLine } from '../corpus.ts';
import type { Passage } from '../retriever.ts';

/** Where the passages stand; can be sent to worker threads. */
export interface PassageTable {
  readonly file: string;
  /** Byte behind each line; N entries. */
  readonly ends: Float64Array;
  /** CRC-32 of each line. */
  readonly sums: Uint32Array;
}

const hint = 'Build the index again with `search-e1 index build`.';

export class PassageStore {
  readonly #table: PassageTable;
  readonly #fd: number;
  #buffer = Buffer.allocUnsafe(1 << 14);

  /** Opens the file; every thread has a store of its own over one table. */
  constructor(table: PassageTable) {
    this.#table = table;
    try {
      this.#fd = openSync(table.file, 'r');
    } catch (error) {
      throw fileError(error, table.file, 'read');
    }
  }

  /** The passage at a position in [0, N). Blocks for the read: microseconds from the page cache. @throws UserError when the line is damaged */
  read(position: number): Passage {
    const { file, ends, sums } = this.#table;
    if (!(position < ends.length))
      throw new UserError(`${file}: no passage ${position}, there are ${ends.length}`, { hint });
    const start = position === 0 ? 0 : ends[position - 1]!;
    const length = ends[position]! - start;
    if (length > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(2 * length);
    let filled = 0;
    try {
      while (filled < length) {
        const read = readSync(this.#fd, this.#buffer, filled, length - filled, start + filled);
        if (read === 0) break;
        filled += read;
      }
    } catch (error) {
      throw fileError(error, file, 'read');
    }
    const line = this.#buffer.subarray(0, filled);
    if (filled < length || crc32(line) !== sums[position])
      throw new UserError(`${file}: damaged at passage ${position}, line ${position + 1}`, {
        hint,
      });
    return parsePassageLine(line.toString(), `${file}:${position + 1}`);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
