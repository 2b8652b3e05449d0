/** Arrays as files: the elements in little-endian order and nothing else. Written as a stream, read whole, with a CRC-32. */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { UserError } from '../../base/errors.ts';
import { fileError } from '../../base/files.ts';
import { sharedArray } from './arrays.ts';

/** Size in bytes, and CRC-32 over all of them. */
export interface FileSum {
  readonly bytes: number;
  readonly crc32: number;
}

const BUFFER_BYTES = 1 << 20;

/** Writes a file from its beginning to its end, in blocking calls. */
export class FileWriter {
  readonly #file: string;
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  #filled = 0;
  #bytes = 0;
  #crc32 = 0;

  constructor(folder: string, name: string) {
    this.#file = path.join(folder, name);
    this.#fd = this.#doing(() => openSync(this.#file, 'w'));
  }

  /** Bytes taken so far. */
  get bytes(): number {
    return this.#bytes + this.#filled;
  }

  u8(value: number): void {
    if (this.#filled === BUFFER_BYTES) this.flush();
    this.#buffer[this.#filled++] = value;
  }

  u32(value: number): void {
    if (this.#filled + 4 > BUFFER_BYTES) this.flush();
    this.#filled = this.#buffer.writeUInt32LE(value, this.#filled);
  }

  f32(value: number): void {
    if (this.#filled + 4 > BUFFER_BYTES) this.flush();
    this.#filled = this.#buffer.writeFloatLE(value, this.#filled);
  }

  f64(value: number): void {
    if (this.#filled + 8 > BUFFER_BYTES) this.flush();
    this.#filled = this.#buffer.writeDoubleLE(value, this.#filled);
  }

  /** In UTF-8. */
  text(text: string): void {
    this.array(Buffer.from(text));
  }

  /** All bytes of a typed array or buffer. */
  array(values: Uint8Array | Uint32Array): void {
    const bytes = bytesOf(values);
    for (let from = 0; from < bytes.length; ) {
      if (this.#filled === BUFFER_BYTES) this.flush();
      const part = bytes.subarray(from, from + BUFFER_BYTES - this.#filled);
      this.#buffer.set(part, this.#filled);
      this.#filled += part.length;
      from += part.length;
    }
  }

  /** Makes all that has been taken readable in the file. */
  flush(): void {
    const part = this.#buffer.subarray(0, this.#filled);
    this.#crc32 = crc32(part, this.#crc32);
    for (let from = 0; from < part.length; ) from += this.#doing(() => writeSync(this.#fd, part, from));
    this.#bytes += part.length;
    this.#filled = 0;
  }

  /** Makes the file durable and closes it. */
  finish(): FileSum {
    this.flush();
    this.#doing(() => fsyncSync(this.#fd));
    closeSync(this.#fd);
    return { bytes: this.#bytes, crc32: this.#crc32 };
  }

  /** Closes an unfinished file; without effect on the disk. */
  abandon(): void {
    closeSync(this.#fd);
  }

  #doing<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw fileError(error, this.#file, 'write');
    }
  }
}

const hint = 'Build the index again with `search-e1 index build`.';

/** Reads a whole file into an array that threads share. @throws UserError when size or checksum are not the expected ones */
export function readArray<A extends ArrayBufferView>(
  type: { new (buffer: SharedArrayBuffer): A; readonly BYTES_PER_ELEMENT: number },
  file: string,
  expected: FileSum,
): A {
  // Before as many bytes are asked for as a manifest may say.
  verifySize(file, expected);
  if (expected.bytes % type.BYTES_PER_ELEMENT !== 0)
    throw new UserError(`${file}: damaged, ${expected.bytes} bytes are no whole numbers`, { hint });
  const array = sharedArray(type, expected.bytes / type.BYTES_PER_ELEMENT);
  const bytes = bytesOf(array);
  checkParts(file, expected, (fd, from, length) => {
    const part = bytes.subarray(from, from + length);
    return part.subarray(0, readSync(fd, part, 0, length, from));
  });
  return array;
}

/** Reads a file to its end and keeps nothing. @throws UserError as `readArray` */
export function verifyFile(file: string, expected: FileSum): void {
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  checkParts(file, expected, (fd, from, length) =>
    buffer.subarray(0, readSync(fd, buffer, 0, Math.min(length, BUFFER_BYTES), from)),
  );
}

/** @throws UserError when the file is absent or its size is not the expected one */
export function verifySize(file: string, expected: FileSum): void {
  checkParts(file, { bytes: expected.bytes, crc32: 0 }, undefined);
}

/** Goes through a file in parts of a few megabytes, each still in the processor's cache when its checksum is taken. */
function checkParts(
  file: string,
  expected: FileSum,
  read: ((fd: number, from: number, length: number) => Uint8Array) | undefined,
): void {
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r');
    const { size } = fstatSync(fd);
    if (size !== expected.bytes)
      throw new UserError(`${file}: damaged, ${size} bytes where ${expected.bytes} were written`, { hint });
    if (read === undefined) return;
    let sum = 0;
    for (let from = 0; from < size; ) {
      const part = read(fd, from, Math.min(1 << 22, size - from));
      if (part.length === 0) throw new UserError(`${file}: ended while it was read`, { hint });
      sum = crc32(part, sum);
      from += part.length;
    }
    if (sum !== expected.crc32)
      throw new UserError(`${file}: damaged, its checksum is not the one in the manifest`, { hint });
  } catch (error) {
    throw fileError(error, file, 'read');
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
