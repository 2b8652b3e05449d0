/**
 * The safetensors format: eight bytes with the header's length (little-endian), a JSON header, then the tensors' bytes.
 *
 *     {"__metadata__": {"format": "pt"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
 *
 * Tensors become float32 whatever the file holds; bytes are taken as the machine orders them, which on every platform
 * that the engines run on is little-endian. Files are read and written in pieces: beside the tensors themselves, no more
 * than a few megabytes are held.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.ts';
import { fileError } from '../base/files.ts';
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from '../base/half-floats.ts';
import { decodeText, parseJson } from '../base/text.ts';
import { readFully } from './read-fully.ts';

/** A dense array in row-major order. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The types of numbers that are read and written, by the format's names. */
export type StoredType = 'F32' | 'F16' | 'BF16';

/** A tensor as read: `dtype` is what the file holds, `data` its values in float32. */
export interface StoredTensor extends Tensor {
  readonly dtype: StoredType;
}

/** Bytes of a number of every type of the format whose numbers fill bytes; F32, F16, BF16 and F64 can be read. */
const BYTES = {
  ...{ F64: 8, F32: 4, F16: 2, BF16: 2, F8_E5M2: 1, F8_E4M3: 1, F8_E8M0: 1 },
  ...{ I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, BOOL: 1, C64: 8 },
} as const;
export type FormatType = keyof typeof BYTES;
/** The limit of the reference implementation. */
const HEADER_LIMIT = 100_000_000;
/** Values that are converted at a time. */
const PIECE = 2 ** 20;

const offset = z.int().nonnegative();
const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(offset),
  data_offsets: z.tuple([offset, offset]),
});

/** What the header says of a tensor. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: FormatType;
  readonly shape: readonly number[];
}

/** A tensor's bytes, counted from the end of the header. */
interface Entry extends TensorEntry {
  readonly begin: number;
  readonly end: number;
}

/** A file whose header has been read and whose tensors can be. Close it. */
export class SafetensorsFile {
  readonly file: string;
  /** In the order of their bytes, which is the fastest to read them in. */
  readonly tensors: readonly TensorEntry[];
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #handle: FileHandle;
  readonly #dataStart: number;

  private constructor(file: string, handle: FileHandle, entries: readonly Entry[], dataStart: number) {
    this.file = file;
    this.tensors = entries;
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]));
    this.#handle = handle;
    this.#dataStart = dataStart;
  }

  /** @throws UserError naming file and tensor when the file is missing, cut off or damaged, or its numbers have an unknown size */
  static async open(file: string): Promise<SafetensorsFile> {
    const handle = await open(file).catch((error) => {
      throw fileError(error, file, 'read');
    });
    try {
      const { entries, dataStart } = await readHeader(handle, file);
      return new SafetensorsFile(file, handle, entries, dataStart);
    } catch (error) {
      await handle.close();
      throw fileError(error, file, 'read');
    }
  }

  /**
   * Reads into `target` as many values of a tensor as it has room for, beginning with its value number `first`. Float64 is
   * rounded; the other types are exact.
   * @throws UserError for values of another type (see `requireNumbers`)
   */
  async read(name: string, target: Float32Array, first = 0): Promise<void> {
    const entry = this.#entries.get(name)!;
    const dtype = this.requireNumbers(entry);
    const position = this.#dataStart + entry.begin + BYTES[dtype] * first;
    try {
      if (dtype === 'F32') {
        const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
        return await readFully(this.#handle, bytes, position, this.file);
      }
      const piece = new (dtype === 'F64' ? Float64Array : Uint16Array)(Math.min(PIECE, target.length));
      for (let done = 0; done < target.length; done += piece.length) {
        const to = target.subarray(done, done + piece.length);
        const bytes = new Uint8Array(piece.buffer, 0, to.length * piece.BYTES_PER_ELEMENT);
        await readFully(this.#handle, bytes, position + piece.BYTES_PER_ELEMENT * done, this.file);
        if (piece instanceof Float64Array) to.set(piece.subarray(0, to.length));
        else (dtype === 'BF16' ? bfloat16ToFloat32 : float16ToFloat32)(piece.subarray(0, to.length), to);
      }
    } catch (error) {
      throw fileError(error, this.file, 'read');
    }
  }

  /** Throws a UserError when a tensor holds anything but floating-point numbers of 16, 32 or 64 bits. */
  requireNumbers({ name, dtype }: TensorEntry): StoredType | 'F64' {
    if (isStoredType(dtype) || dtype === 'F64') return dtype;
    throw unsupported(this.file, name, dtype);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/**
 * Reads all tensors of a file, in the order of their bytes.
 * @throws UserError as `SafetensorsFile.open` does
 */
export async function readSafetensors(file: string): Promise<Map<string, StoredTensor>> {
  const opened = await SafetensorsFile.open(file);
  try {
    const tensors = new Map<string, StoredTensor>();
    for (const { name, dtype, shape } of opened.tensors) {
      if (!isStoredType(dtype)) throw unsupported(file, name, dtype);
      const data = new Float32Array(sizeOf(shape));
      await opened.read(name, data);
      tensors.set(name, { dtype, shape, data });
    }
    return tensors;
  } finally {
    await opened.close();
  }
}

/** Elements of a tensor. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

async function readHeader(handle: FileHandle, file: string): Promise<{ entries: Entry[]; dataStart: number }> {
  const damaged = (what: string) =>
    new UserError(`${file}: not a safetensors file: ${what}`, { hint: 'Copy or fetch the file again.' });
  const fileSize = (await handle.stat()).size;
  if (fileSize < 8) throw damaged(`${fileSize} bytes, fewer than the 8 of the header's length`);
  const lengthBytes = new Uint8Array(8);
  await readFully(handle, lengthBytes, 0, file);
  const length = Number(new DataView(lengthBytes.buffer).getBigUint64(0, true));
  if (length > HEADER_LIMIT) throw damaged(`a header of ${length} bytes (at most ${HEADER_LIMIT} are allowed)`);
  if (length > fileSize - 8) throw damaged(`a header of ${length} bytes in a file of ${fileSize}`);

  const headerBytes = new Uint8Array(length);
  await readFully(handle, headerBytes, 8, file);
  let header: unknown;
  try {
    header = parseJson(decodeText(headerBytes, 'header'), 'header');
  } catch (error) {
    throw damaged(`the header is not JSON (${messageOf(error)})`);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw damaged('the header is not a JSON object');
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => parseEntry(name, value, file))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);

  // The tensors fill the rest of the file without gap or overlap; a name that stands twice in the header leaves a gap.
  let [previous, end] = ['the header', 0];
  for (const entry of entries) {
    if (entry.begin !== end)
      throw damaged(
        `tensor "${entry.name}" begins at byte ${entry.begin}, but ${previous} ends at ${end} (${entry.begin < end ? 'overlap' : 'gap'})`,
      );
    [previous, end] = [`tensor "${entry.name}"`, entry.end];
  }
  const dataSize = fileSize - 8 - length;
  if (end > dataSize)
    throw damaged(`${previous} ends at byte ${end}, but the file holds ${dataSize} bytes of data (cut off?)`);
  if (end < dataSize) throw damaged(`${dataSize - end} bytes follow the end of ${previous}`);
  return { entries, dataStart: 8 + length };
}

/** What to throw for numbers that weights cannot be made of. */
export function unsupported(file: string, name: string, dtype: string): UserError {
  return new UserError(`${file}: tensor "${name}": values of type ${dtype} are not supported`, {
    hint: 'Convert the tensors to float32, float16 or bfloat16.',
  });
}

function parseEntry(name: string, value: unknown, file: string): Entry {
  const refused = (what: string) => new UserError(`${file}: tensor "${name}": ${what}`);
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw refused(`${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { dtype, shape } = parsed.data;
  if (!isFormatType(dtype)) throw unsupported(file, name, dtype);
  const [begin, end] = parsed.data.data_offsets;
  const size = sizeOf(shape) * BYTES[dtype];
  if (end - begin !== size)
    throw refused(
      `shape [${shape.join(', ')}] of ${dtype} takes ${size} bytes, data_offsets [${begin}, ${end}] hold ${end - begin}`,
    );
  return { name, dtype, shape, begin, end };
}

export function isStoredType(dtype: FormatType): dtype is StoredType {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

function isFormatType(name: string): name is FormatType {
  return Object.hasOwn(BYTES, name);
}

/**
 * A file of float32 tensors in the given order, as parts to be written one after another (see writeFileAtomic).
 * The tensors' parts are views, not copies: the tensors must not change until they are written.
 * @param metadata defaults to what Hugging Face's loaders expect of PyTorch-style tensors
 * @throws RangeError when a tensor's data do not fill its shape
 */
export function safetensorsBytes(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): Uint8Array[] {
  return [...safetensorsParts(tensors, 'F32', metadata)];
}

/**
 * The same in any type, parts made as they are asked for; a part is valid until the next one.
 * @throws UserError for a finite value that float16 cannot hold
 */
export function* safetensorsParts(
  tensors: ReadonlyMap<string, Tensor>,
  dtype: StoredType,
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): Generator<Uint8Array> {
  yield headerBytes(tensors, dtype, metadata);
  const piece = new Uint16Array(dtype === 'F32' ? 0 : PIECE);
  for (const [name, { data }] of tensors) {
    if (dtype === 'F32') {
      yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      continue;
    }
    for (let done = 0; done < data.length; done += PIECE) {
      const from = data.subarray(done, done + PIECE);
      const to = piece.subarray(0, from.length);
      if (dtype === 'F16') {
        const tooLarge = from.find((value) => Math.abs(value) >= 65_520 && Number.isFinite(value));
        if (tooLarge !== undefined)
          throw new UserError(`tensor "${name}" holds ${tooLarge}, more than float16 can (65504)`, {
            hint: 'Use bfloat16 or float32.',
          });
        float32ToFloat16(from, to);
      } else float32ToBfloat16(from, to);
      yield new Uint8Array(to.buffer, 0, to.byteLength);
    }
  }
}

function headerBytes(
  tensors: ReadonlyMap<string, Tensor>,
  dtype: StoredType,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const header: [string, unknown][] = [['__metadata__', metadata]];
  let end = 0;
  for (const [name, { shape, data }] of tensors) {
    if (name === '__metadata__') throw new RangeError('a tensor cannot be named __metadata__');
    const size = sizeOf(shape);
    if (data.length !== size)
      throw new RangeError(`tensor "${name}": shape [${shape.join(', ')}] needs ${size} values, found ${data.length}`);
    const begin = end;
    end += size * BYTES[dtype];
    header.push([name, { dtype, shape, data_offsets: [begin, end] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  // Spaces after the header bring the data to a multiple of eight bytes, so that loaders can map the file into memory.
  const start = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(start.length - 8), true);
  start.set(json, 8);
  return start;
}
