/**
 * The safetensors format: eight bytes with the header's length (little-endian), a JSON header, then the tensors' bytes.
 *
 *     {"__metadata__": {"format": "pt"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
 *
 * Tensors become float32 whatever the file holds; bytes are taken as the machine orders them, which on every platform
 * that the engines run on is little-endian.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { messageOf, UserError } from '../base/errors.ts';
import { fileError } from '../base/files.ts';

/** A dense array in row-major order. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A tensor as read: `dtype` is what the file holds, `data` its values in float32. */
export interface StoredTensor extends Tensor {
  readonly dtype: 'F32' | 'F16' | 'BF16';
}

const BYTES = { F32: 4, F16: 2, BF16: 2 } as const;
/** The limit of the reference implementation. */
const HEADER_LIMIT = 100_000_000;
/** One read of the operating system takes at most 2 GiB. */
const READ_LIMIT = 2 ** 30;

const offset = z.int().nonnegative();
const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(offset),
  data_offsets: z.tuple([offset, offset]),
});

interface Entry {
  readonly name: string;
  readonly dtype: StoredTensor['dtype'];
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads all tensors, in the order of their bytes, one at a time: no more is held than the result and one tensor's bytes.
 * @throws UserError naming file and tensor when the file is missing, cut off or damaged, or holds another type of number.
 */
export async function readSafetensors(file: string): Promise<Map<string, StoredTensor>> {
  const handle = await open(file).catch((error) => {
    throw fileError(error, file, 'read');
  });
  try {
    const { entries, dataStart } = await readHeader(handle, file);
    const tensors = new Map<string, StoredTensor>();
    for (const { name, dtype, shape, begin, end } of entries) {
      const bytes = new Uint8Array(end - begin);
      await readFully(handle, bytes, dataStart + begin, file);
      tensors.set(name, { dtype, shape, data: toFloat32[dtype](bytes) });
    }
    return tensors;
  } catch (error) {
    throw fileError(error, file, 'read');
  } finally {
    await handle.close();
  }
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
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(headerBytes));
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

function parseEntry(name: string, value: unknown, file: string): Entry {
  const refused = (what: string, hint?: string) =>
    new UserError(`${file}: tensor "${name}": ${what}`, hint === undefined ? {} : { hint });
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw refused(`${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { dtype, shape } = parsed.data;
  if (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16')
    throw refused(`values of type ${dtype} are not supported`, 'Convert the tensors to float32, float16 or bfloat16.');
  const [begin, end] = parsed.data.data_offsets;
  const size = shape.reduce((product, length) => product * length, BYTES[dtype]);
  if (end - begin !== size)
    throw refused(
      `shape [${shape.join(', ')}] of ${dtype} takes ${size} bytes, data_offsets [${begin}, ${end}] hold ${end - begin}`,
    );
  return { name, dtype, shape, begin, end };
}

async function readFully(handle: FileHandle, bytes: Uint8Array, position: number, file: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, READ_LIMIT);
    const { bytesRead } = await handle.read(bytes, done, length, position + done);
    if (bytesRead === 0) throw new UserError(`${file}: became shorter while it was read`);
    done += bytesRead;
  }
}

/** From the bytes of a tensor, which must start at the beginning of their buffer. */
const toFloat32: Record<StoredTensor['dtype'], (bytes: Uint8Array) => Float32Array> = {
  F32: (bytes) => new Float32Array(bytes.buffer),
  // bfloat16 is the upper half of a float32.
  BF16: (bytes) => {
    const upper = new Uint16Array(bytes.buffer);
    const bits = new Uint32Array(upper.length);
    for (let i = 0; i < bits.length; i++) bits[i] = upper[i]! << 16;
    return new Float32Array(bits.buffer);
  },
  F16: (bytes) => {
    halfValues ??= Float32Array.from({ length: 0x10000 }, (_, bits) => halfValue(bits));
    const halves = new Uint16Array(bytes.buffer);
    const values = new Float32Array(halves.length);
    for (let i = 0; i < values.length; i++) values[i] = halfValues[halves[i]!]!;
    return values;
  },
};

/** The value of every float16, made when the first one is read. */
let halfValues: Float32Array | undefined;

/** IEEE 754 binary16: 1 bit sign, 5 bits exponent with bias 15, 10 bits fraction. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = (bits & 0x3ff) / 1024;
  if (exponent === 0) return sign * fraction * 2 ** -14;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction) * 2 ** (exponent - 15);
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
  const header: [string, unknown][] = [['__metadata__', metadata]];
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const [name, { shape, data }] of tensors) {
    if (name === '__metadata__') throw new RangeError('a tensor cannot be named __metadata__');
    const size = shape.reduce((product, length) => product * length, 1);
    if (data.length !== size)
      throw new RangeError(`tensor "${name}": shape [${shape.join(', ')}] needs ${size} values, found ${data.length}`);
    header.push([name, { dtype: 'F32', shape, data_offsets: [end, end + data.byteLength] }]);
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    end += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  // Spaces after the header bring the data to a multiple of eight bytes, so that loaders can map the file into memory.
  const start = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(start.length - 8), true);
  start.set(json, 8);
  return [start, ...parts];
}
