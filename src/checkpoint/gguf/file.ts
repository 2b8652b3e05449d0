/** A GGUF file that is read range by range: its header when it is opened, a tensor when it is asked for. */
import { type FileHandle, open } from 'node:fs/promises';
import { UserError } from '../../base/errors.ts';
import { fileError } from '../../base/files.ts';
import { readFully } from '../read-fully.ts';
import { sizeOf } from '../safetensors.ts';
import { type Header, MoreNeeded, parseHeader, type TensorRecord } from './header.ts';
import { Metadata } from './metadata.ts';
import { dequantize, STORAGE, swapBytes } from './storage-types.ts';

/** The first attempt at the header; vocabularies make up to 15 MB of it. */
const FIRST = 2 ** 20;
const HEADER_LIMIT = 2 ** 27;
/** Values that are read at a time; whole blocks of every type. */
const PIECE = 2 ** 20;
/** The parts of a model that is spread over several files. */
const PART = /-(\d{5})-of-(\d{5})\.gguf$/i;

/** Whose header has been read and whose tensors can be. Close it. */
export class GgufFile {
  readonly file: string;
  readonly metadata: Metadata;
  /** In the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorRecord>;
  readonly #bigEndian: boolean;
  readonly #handle: FileHandle;

  private constructor(file: string, handle: FileHandle, header: Header) {
    this.file = file;
    this.metadata = new Metadata(file, header.values);
    this.tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
    this.#bigEndian = header.bigEndian;
    this.#handle = handle;
  }

  /** @throws UserError for a file that is missing, no GGUF, damaged, cut off, or a part of a model only */
  static async open(file: string): Promise<GgufFile> {
    const [, part, parts] = PART.exec(file) ?? [];
    if (part !== undefined && Number(parts) > 1) throw partly(file, `${Number(part)} of ${Number(parts)}`);
    const handle = await open(file).catch((error) => {
      throw fileError(error, file, 'read');
    });
    try {
      const opened = new GgufFile(file, handle, await readHeader(handle, file));
      const count = opened.metadata.count('split.count', 2 ** 16, 0) ?? 1;
      if (count > 1) throw partly(file, `one of ${count}`);
      return opened;
    } catch (error) {
      await handle.close();
      throw fileError(error, file, 'read');
    }
  }

  /** Reads a tensor that is there into `target`, which must have its number of values. Exact, whatever its type. */
  async read(name: string, target: Float32Array): Promise<void> {
    const { type, begin } = this.tensors.get(name)!;
    const { elements, bytes: size } = STORAGE[type];
    const bytes = new Uint8Array((Math.min(PIECE, target.length) / elements) * size);
    try {
      for (let done = 0; done < target.length; done += PIECE) {
        const values = target.subarray(done, done + PIECE);
        const piece = bytes.subarray(0, (values.length / elements) * size);
        await readFully(this.#handle, piece, begin + (done / elements) * size, this.file);
        if (this.#bigEndian) swapBytes(type, piece);
        dequantize(type, piece, values);
      }
    } catch (error) {
      throw fileError(error, this.file, 'read');
    }
  }

  /** The same into an array of its own, for small tensors. */
  async values(name: string): Promise<Float32Array> {
    const target = new Float32Array(sizeOf(this.tensors.get(name)!.shape));
    await this.read(name, target);
    return target;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function readHeader(handle: FileHandle, file: string): Promise<Header> {
  const { size } = await handle.stat();
  for (let length = FIRST; ; length *= 4) {
    const bytes = new Uint8Array(Math.min(length, size));
    await readFully(handle, bytes, 0, file);
    try {
      return parseHeader(bytes, size, file);
    } catch (error) {
      if (!(error instanceof MoreNeeded)) throw error;
      if (length >= HEADER_LIMIT)
        throw new UserError(`${file}: its header has more than ${HEADER_LIMIT} bytes, which no model's has`);
    }
  }
}

function partly(file: string, which: string): UserError {
  return new UserError(`${file}: is ${which} files of a model that is split`, {
    hint: "Join them first, with llama.cpp's llama-gguf-split --merge FIRST OUT.",
  });
}
