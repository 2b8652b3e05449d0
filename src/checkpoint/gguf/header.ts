/**
 * The header of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md):
 *
 *     "GGUF", version, number of tensors, number of pairs
 *     pairs     key, type, value: numbers, texts (length, UTF-8), or a list (type, length, values)
 *     tensors   name, number of dimensions, dimensions (the fastest first), storage type, offset
 *
 * then, from the next multiple of the alignment on, the tensors' bytes, to which offsets refer. Lengths have 64 bits, in version 1
 * they had 32. Since version 3 a file may be big-endian throughout.
 *
 * Every length is held against the bytes that are left before anything is made of it.
 */
import { UserError } from '../../base/errors.ts';
import { type LazyArray, type Scalar, VALUE_TYPES, type Value } from './metadata.ts';
import { nameOfType, STORAGE, type StorageType, storageTypeOf } from './storage-types.ts';

export interface TensorRecord {
  readonly name: string;
  readonly type: StorageType;
  /** [rows, columns] of a matrix: the slowest dimension first, other than in the file. */
  readonly shape: readonly number[];
  /** Of its first byte in the file. */
  readonly begin: number;
  readonly bytes: number;
}

export interface Header {
  readonly version: number;
  readonly bigEndian: boolean;
  readonly values: ReadonlyMap<string, Value>;
  /** In the order of their bytes. */
  readonly tensors: readonly TensorRecord[];
}

/** Far more than published models have. */
const LIMITS = {
  pairs: 100_000,
  tensors: 100_000,
  keyBytes: 2 ** 16,
  dimensions: 4,
  size: 2 ** 48,
  alignment: 2 ** 20,
};
const DEFAULT_ALIGNMENT = 32;
const FIXED = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const [STRING, ARRAY] = [VALUE_TYPES.indexOf('STRING'), VALUE_TYPES.indexOf('ARRAY')];

/** The header goes on behind the bytes given. */
export class MoreNeeded extends Error {}

/**
 * @param bytes the beginning of the file
 * @param fileSize of the whole file
 * @param file named in errors
 * @throws UserError for what is no GGUF, damaged or cut off; MoreNeeded where `bytes` ends within the header
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, file: string): Header {
  const damaged = (what: string, hint = 'Copy or fetch the file again.') =>
    new UserError(`${file}: not a GGUF file: ${what}`, { hint });
  if (fileSize < 4) throw damaged(`${fileSize} bytes`);
  const magic = new TextDecoder('latin1').decode(bytes.subarray(0, 4));
  if (magic !== 'GGUF') throw damaged(`it begins with ${JSON.stringify(magic)}, expected "GGUF"`);
  const reader = new Reader(bytes, fileSize, file);
  reader.at = 4;
  const stated = reader.uint32();
  reader.littleEndian = (stated & 0xffff) !== 0;
  reader.at = 4;
  const version = reader.uint32();
  if (version < 1 || version > 3)
    throw damaged(`version ${version} is unknown, expected 1, 2 or 3`, 'A newer search-e1 may read it.');
  reader.wide = version > 1;

  const counts = { tensors: reader.length(), pairs: reader.length() };
  for (const what of ['tensors', 'pairs'] as const)
    if (counts[what] > LIMITS[what]) throw damaged(`${counts[what]} ${what}, more than ${LIMITS[what]}`);
  const values = new Map<string, Value>();
  for (let i = 0; i < counts.pairs; i++) {
    const key = reader.text(`the key of pair ${i}`, LIMITS.keyBytes);
    if (values.has(key)) throw damaged(`the key ${JSON.stringify(key)} stands there twice`);
    values.set(key, reader.value(key, reader.uint32()));
  }
  const alignment = alignmentOf(values.get('general.alignment'), damaged);
  const records = new Map<string, { dimensions: number[]; type: number; offset: number }>();
  for (let i = 0; i < counts.tensors; i++) {
    const name = reader.text(`the name of tensor ${i}`, LIMITS.keyBytes);
    if (records.has(name)) throw damaged(`the tensor ${JSON.stringify(name)} stands there twice`);
    const rank = reader.uint32();
    if (rank < 1 || rank > LIMITS.dimensions)
      throw damaged(`tensor "${name}" has ${rank} dimensions, expected 1 to ${LIMITS.dimensions}`);
    const dimensions = Array.from({ length: rank }, () => reader.length());
    records.set(name, { dimensions, type: reader.uint32(), offset: reader.uint64() });
  }
  const dataStart = Math.ceil(reader.at / alignment) * alignment;
  const tensors = [...records].map(([name, record]) => tensorOf(name, record, alignment, dataStart, damaged, file));
  return { version, bigEndian: !reader.littleEndian, values, tensors: inOrder(tensors, fileSize, damaged, file) };
}

type Damaged = (what: string, hint?: string) => UserError;

function alignmentOf(value: Value | undefined, damaged: Damaged): number {
  if (value === undefined) return DEFAULT_ALIGNMENT;
  const isPower = typeof value === 'number' && value >= 1 && Number.isInteger(Math.log2(value));
  if (!isPower || value > LIMITS.alignment)
    throw damaged(`general.alignment is ${String(value)}, expected a power of two up to ${LIMITS.alignment}`);
  return value;
}

function tensorOf(
  name: string,
  { dimensions, type: id, offset }: { dimensions: readonly number[]; type: number; offset: number },
  alignment: number,
  dataStart: number,
  damaged: Damaged,
  file: string,
): TensorRecord {
  const type = storageTypeOf(id);
  if (type === undefined)
    throw new UserError(`${file}: tensor "${name}": values of type ${nameOfType(id)} are not read`, {
      hint: `Quantise the model to one of ${Object.keys(STORAGE).join(', ')}.`,
    });
  const { elements, bytes } = STORAGE[type];
  const size = dimensions.reduce((product, length) => product * length, 1);
  if (dimensions.some((length) => length < 1) || !(size <= LIMITS.size))
    throw damaged(`tensor "${name}" has dimensions [${dimensions.join(', ')}]`);
  if (dimensions[0]! % elements !== 0)
    throw damaged(
      `tensor "${name}" has rows of ${dimensions[0]} values, which are no whole blocks of ${elements} (${type})`,
    );
  if (offset % alignment !== 0)
    throw damaged(`tensor "${name}" begins at ${offset}, which is no multiple of the alignment (${alignment})`);
  return { name, type, shape: [...dimensions].reverse(), begin: dataStart + offset, bytes: (size / elements) * bytes };
}

function inOrder(tensors: readonly TensorRecord[], fileSize: number, damaged: Damaged, file: string): TensorRecord[] {
  const sorted = [...tensors].sort((a, b) => a.begin - b.begin || a.bytes - b.bytes);
  for (const [i, { name, begin, bytes }] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next && begin + bytes > next.begin) throw damaged(`the tensors "${name}" and "${next.name}" overlap`);
    if (begin + bytes > fileSize)
      throw new UserError(
        `${file}: cut off: tensor "${name}" ends at byte ${begin + bytes}, the file has ${fileSize}`,
        { hint: 'Fetch the file again; an interrupted download is no model.' },
      );
  }
  return sorted;
}

/** Reads numbers and texts one after another. */
class Reader {
  at = 0;
  littleEndian = true;
  /** Lengths have 64 bits. */
  wide = true;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fileSize: number;
  readonly #file: string;
  // A byte order mark may be a part of a token.
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor(bytes: Uint8Array, fileSize: number, file: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fileSize = fileSize;
    this.#file = file;
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4, 'a number'), this.littleEndian);
  }

  uint64(): number {
    return Number(this.#view.getBigUint64(this.#take(8, 'a number'), this.littleEndian));
  }

  length(): number {
    return this.wide ? this.uint64() : this.uint32();
  }

  text(what: string, most: number): string {
    const length = this.length();
    if (length > most) throw this.#refused(`${what} has ${length} bytes, more than ${most}`);
    return this.#decode(this.#take(length, what), length, what);
  }

  value(key: string, type: number): Value {
    if (type === ARRAY) return this.#array(key);
    if (type === STRING) return this.text(key, this.#fileSize);
    const size = FIXED[type];
    if (size === undefined) throw this.#refused(`${key} is of the unknown type ${type}`);
    return this.#scalar(type, this.#take(size, key));
  }

  #array(key: string): LazyArray {
    const [type, length] = [this.uint32(), this.length()];
    if (VALUE_TYPES[type] === undefined || type === ARRAY)
      throw this.#refused(`${key} is a list of ${type === ARRAY ? 'lists' : `the unknown type ${type}`}`);
    const least = type === STRING ? (this.wide ? 8 : 4) : FIXED[type]!;
    if (length * least > this.#fileSize - this.at)
      throw this.#refused(`${key} is a list of ${length}, more than the rest of the file could hold`);
    const start = this.at;
    if (type === STRING) for (let i = 0; i < length; i++) this.#take(this.length(), key);
    else this.#take(length * least, key);
    return { length, values: () => this.#elements(key, type, length, start) };
  }

  #elements(key: string, type: number, length: number, start: number): Scalar[] {
    if (type !== STRING) return Array.from({ length }, (_, i) => this.#scalar(type, start + i * FIXED[type]!));
    this.at = start;
    return Array.from({ length }, (_, i) => this.text(`${key}[${i}]`, this.#fileSize));
  }

  #scalar(type: number, at: number): Scalar {
    const view = this.#view;
    switch (VALUE_TYPES[type]) {
      case 'UINT8':
        return view.getUint8(at);
      case 'INT8':
        return view.getInt8(at);
      case 'UINT16':
        return view.getUint16(at, this.littleEndian);
      case 'INT16':
        return view.getInt16(at, this.littleEndian);
      case 'UINT32':
        return view.getUint32(at, this.littleEndian);
      case 'INT32':
        return view.getInt32(at, this.littleEndian);
      case 'FLOAT32':
        return view.getFloat32(at, this.littleEndian);
      case 'BOOL':
        return view.getUint8(at) !== 0;
      case 'FLOAT64':
        return view.getFloat64(at, this.littleEndian);
      case 'UINT64':
        return exact(view.getBigUint64(at, this.littleEndian));
      default:
        return exact(view.getBigInt64(at, this.littleEndian));
    }
  }

  /** Where the next `length` bytes begin. */
  #take(length: number, what: string): number {
    const begin = this.at;
    if (!(length <= this.#fileSize - begin))
      throw this.#refused(`${what} reaches to byte ${begin + length}, but the file has ${this.#fileSize} (cut off?)`);
    this.at += length;
    if (this.at > this.#bytes.length) throw new MoreNeeded();
    return begin;
  }

  #decode(begin: number, length: number, what: string): string {
    try {
      return this.#decoder.decode(this.#bytes.subarray(begin, begin + length));
    } catch (cause) {
      throw new UserError(`${this.#file}: not a GGUF file: ${what} is not UTF-8`, { cause });
    }
  }

  #refused(what: string): UserError {
    return new UserError(`${this.#file}: not a GGUF file: ${what}`, { hint: 'Copy or fetch the file again.' });
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
