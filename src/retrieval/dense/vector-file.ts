/**
 * A file of vectors: `count` rows of `dimension` little-endian numbers and nothing else, written and read by blocks of
 * rows. What it holds (`VectorLayout`) stands in the manifest beside it, with a CRC-32 of every block.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { UserError } from '../../base/errors.ts';
import { fileError } from '../../base/files.ts';
import { fromHalf, toHalf } from '../../base/half-floats.ts';

const BLOCK_BYTES = 8 << 20;

export const vectorTypes = ['float32', 'float16'] as const;
export type VectorType = (typeof vectorTypes)[number];

/** More dimensions than any model of sentences has. */
export const LARGEST_DIMENSION = 65_536;

export const vectorLayoutSchema = z
  .strictObject({
    dimension: z.int().min(1).max(LARGEST_DIMENSION),
    type: z.enum(vectorTypes),
    /** Rows of the file. */
    count: z.int().nonnegative(),
    /** Rows of a block; the last block may be shorter. */
    blockRows: z.int().positive(),
    /** Largest Euclidean norm of a row: with it the rounding of a score has a bound. */
    largestNorm: z.number().nonnegative(),
    /** CRC-32 of the bytes of each block. */
    checksums: z.array(z.int().nonnegative()),
  })
  .refine(({ dimension, type, blockRows }) => blockRows <= Math.max(1, BLOCK_BYTES / (dimension * bytesOf(type))), {
    path: ['blockRows'],
    error: 'expected blocks of at most 8 MiB',
  });
export type VectorLayout = Readonly<z.infer<typeof vectorLayoutSchema>>;

/** Numbers of one block: float32 values, or float16 as patterns. */
export type VectorData = Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;

/** Norms above this could overflow float32 products. */
const LARGEST_NORM = 1e15;

/** Rows of a block of about 8 MiB. */
export function blockRowsFor(dimension: number, type: VectorType): number {
  return Math.max(1, Math.floor(BLOCK_BYTES / (dimension * bytesOf(type)) / 64) * 64);
}

function bytesOf(type: VectorType): number {
  return type === 'float32' ? 4 : 2;
}

export function emptyLayout(dimension: number, type: VectorType): VectorLayout {
  return { dimension, type, count: 0, blockRows: blockRowsFor(dimension, type), largestNorm: 0, checksums: [] };
}

/** Writes rows in order. On the disk are the whole blocks, and what `save` was called for. */
export class VectorWriter {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #block: VectorData;
  /** Of the whole blocks; the largest norm is that of all rows. */
  #layout: VectorLayout;
  /** Numbers in `#block`. */
  #filled = 0;

  private constructor(file: string, handle: FileHandle, layout: VectorLayout) {
    this.#file = file;
    this.#handle = handle;
    this.#layout = layout;
    const size = layout.blockRows * layout.dimension;
    this.#block = layout.type === 'float32' ? new Float32Array(size) : new Uint16Array(size);
  }

  /**
   * Begins a file (an empty `layout`) or goes on behind the rows that `layout`, as `save` gave it, describes.
   * @throws UserError when these rows are not in the file
   */
  static async open(file: string, layout: VectorLayout): Promise<VectorWriter> {
    const { dimension, type, count, blockRows, checksums } = layout;
    const blocks = Math.floor(count / blockRows);
    const handle = await open(file, count === 0 ? 'w' : 'r+').catch((error) => {
      throw fileError(error, file, 'write');
    });
    try {
      const { size } = await handle.stat();
      if (size < count * dimension * bytesOf(type)) throw damaged(file, `it ends before vector ${count}`);
      const whole = { ...layout, count: blocks * blockRows, checksums: checksums.slice(0, blocks) };
      const writer = new VectorWriter(file, handle, whole);
      await writer.#readRest(count, checksums[blocks]);
      return writer;
    } catch (error) {
      await handle.close();
      throw fileError(error, file, 'write');
    }
  }

  /** Rows so far. */
  get count(): number {
    return this.#layout.count + this.#filled / this.#layout.dimension;
  }

  /**
   * Appends rows of `dimension` numbers each.
   * @throws UserError for a row with a number that is not finite, or too large for the type
   */
  async append(rows: Float32Array): Promise<void> {
    const { dimension, type } = this.#layout;
    for (let start = 0; start < rows.length; start += dimension) {
      let squares = 0;
      for (let j = 0; j < dimension; j++) {
        const value = rows[start + j]!;
        squares += value * value;
        this.#block[this.#filled + j] = type === 'float32' ? value : toHalf(value);
      }
      const norm = Math.sqrt(squares);
      if (!(norm < (type === 'float32' ? LARGEST_NORM : 65_504)))
        throw new UserError(`${this.#file}: vector ${this.count} has the norm ${norm}, which ${type} cannot hold`, {
          hint: 'Vectors are finite numbers, as a rule of norm 1; look at what made them.',
        });
      // Rounding to half precision may lengthen a row by half a unit in the last place, 2^-11.
      const stored = type === 'float32' ? norm : norm * (1 + 2 ** -10) + dimension * 2 ** -24;
      this.#layout = { ...this.#layout, largestNorm: Math.max(this.#layout.largestNorm, stored) };
      this.#filled += dimension;
      if (this.#filled < this.#block.length) continue;
      this.#layout = await this.save();
      this.#filled = 0;
    }
  }

  /** Brings all rows to the disk; what the file then holds. */
  async save(): Promise<VectorLayout> {
    if (this.#filled === 0) return this.#layout;
    const { dimension, type, count, checksums } = this.#layout;
    const bytes = new Uint8Array(this.#block.buffer, 0, this.#filled * bytesOf(type));
    try {
      await this.#handle.write(bytes, 0, bytes.length, count * dimension * bytesOf(type));
      await this.#handle.datasync();
    } catch (error) {
      throw fileError(error, this.#file, 'write');
    }
    return { ...this.#layout, count: this.count, checksums: [...checksums, crc32(bytes)] };
  }

  /** Brings all rows to the disk, cuts off what an interrupted writer may have left behind them, and closes the file. */
  async finish(): Promise<VectorLayout> {
    const layout = await this.save();
    await this.#handle.truncate(layout.count * layout.dimension * bytesOf(layout.type));
    await this.#handle.sync();
    await this.#handle.close();
    return layout;
  }

  /** Closes the file; rows that were not saved are lost. */
  async abandon(): Promise<void> {
    await this.#handle.close();
  }

  /** Takes up the rows of an unfinished block. */
  async #readRest(count: number, checksum: number | undefined): Promise<void> {
    const { dimension, type, count: whole } = this.#layout;
    const numbers = (count - whole) * dimension;
    const bytes = new Uint8Array(this.#block.buffer, 0, numbers * bytesOf(type));
    if (numbers === 0) return;
    await this.#handle.read(bytes, 0, bytes.length, whole * dimension * bytesOf(type));
    if (crc32(bytes) !== checksum) throw damaged(this.#file, `the checksum of the vectors from ${whole} on is wrong`);
    this.#filled = numbers;
  }
}

/** Refuses a file whose size is not what the layout says. */
export async function checkVectorFile(file: string, layout: VectorLayout): Promise<void> {
  const { dimension, type, count, blockRows, checksums } = layout;
  const { size } = await stat(file).catch((error) => {
    throw fileError(error, file, 'read');
  });
  const expected = count * dimension * bytesOf(type);
  if (size !== expected) throw damaged(file, `it has ${size} bytes, its manifest says ${expected}`);
  if (checksums.length !== Math.ceil(count / blockRows))
    throw damaged(file, `its manifest has ${checksums.length} checksums for ${Math.ceil(count / blockRows)} blocks`);
}

/**
 * Reads vectors by blocks, synchronously (for a thread of its own). As many of the first blocks as fit into `memory`
 * bytes are kept; the others are read at each use. A block's checksum is verified when it is read for the first time.
 */
export class VectorFile {
  readonly layout: VectorLayout;
  readonly #file: string;
  readonly #descriptor: number;
  readonly #kept: (VectorData | undefined)[];
  readonly #verified: Uint8Array;
  #buffer: VectorData | undefined;
  #row: VectorData;

  constructor(file: string, layout: VectorLayout, memory: number) {
    const { dimension, type, blockRows, checksums } = layout;
    this.#file = file;
    this.layout = layout;
    this.#descriptor = openSync(file, 'r');
    const keep = Math.floor(memory / (blockRows * dimension * bytesOf(type)));
    this.#kept = Array.from({ length: Math.min(keep, checksums.length) });
    this.#verified = new Uint8Array(checksums.length);
    this.#row = this.#allocate(1);
  }

  get blocks(): number {
    return this.layout.checksums.length;
  }

  /**
   * The numbers of one block, valid until the next call.
   * @throws UserError when the bytes are not those that were written
   */
  block(index: number): VectorData {
    const kept = this.#kept[index];
    if (kept !== undefined) return kept;
    const { count, blockRows, checksums } = this.layout;
    const rows = Math.min(blockRows, count - index * blockRows);
    const keep = index < this.#kept.length;
    if (!keep) this.#buffer ??= this.#allocate(blockRows);
    const data = keep ? this.#allocate(rows) : this.#buffer!.subarray(0, rows * this.layout.dimension);
    const bytes = this.#read(data, index * blockRows);
    if (this.#verified[index] === 0 && crc32(bytes) !== checksums[index])
      throw damaged(this.#file, `the checksum of block ${index} (vectors from ${index * blockRows} on) is wrong`);
    this.#verified[index] = 1;
    if (keep) this.#kept[index] = data;
    return data;
  }

  /** Σ_j query_j · row_j in double precision, added from the first to the last. */
  dot(query: Float32Array, position: number): number {
    const { blockRows, dimension, type } = this.layout;
    const block = Math.floor(position / blockRows);
    const kept = this.#kept[block];
    if (kept === undefined) this.#read(this.#row, position);
    const data = kept ?? this.#row;
    const start = kept === undefined ? 0 : (position - block * blockRows) * dimension;
    let sum = 0;
    if (type === 'float32') for (let j = 0; j < dimension; j++) sum += query[j]! * data[start + j]!;
    else for (let j = 0; j < dimension; j++) sum += query[j]! * fromHalf(data[start + j]!);
    return sum;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #allocate(rows: number): VectorData {
    const size = rows * this.layout.dimension;
    return this.layout.type === 'float32' ? new Float32Array(size) : new Uint16Array(size);
  }

  /** Fills `data` with the rows from `row` on; returns its bytes. */
  #read(data: VectorData, row: number): Uint8Array {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const start = row * this.layout.dimension * bytesOf(this.layout.type);
    for (let done = 0; done < bytes.length; ) {
      const read = readSync(this.#descriptor, bytes, done, bytes.length - done, start + done);
      if (read === 0) throw damaged(this.#file, 'it ends too early');
      done += read;
    }
    return bytes;
  }
}

function damaged(file: string, reason: string): UserError {
  return new UserError(`${file}: damaged: ${reason}`, { hint: 'Build the index again, or copy it again.' });
}
