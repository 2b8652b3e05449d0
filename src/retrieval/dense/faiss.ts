/**
 * Reads the vectors of a FAISS IndexFlatIP file as a stream, without FAISS and without loading it. The file
 * (faiss/impl/index_write.cpp), little-endian:
 *
 *   "IxFI" · int32 dimension · int64 count · 2 × int64 unused · uint8 trained · int32 metric · uint64 numbers · float32 …
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { UserError } from '../../base/errors.ts';
import { fileError } from '../../base/files.ts';
import { LARGEST_DIMENSION } from './vector-file.ts';

const HEADER_BYTES = 45;
const INNER_PRODUCT = 0;
const READ_BYTES = 1 << 20;

/** First letters of FAISS files that people are likely to have instead. */
const OTHERS: readonly [RegExp, string][] = [
  [/^IxF2/, 'IndexFlatL2 (Euclidean distance)'],
  [/^IxF/, 'a flat index of another metric'],
  [/^IHN/, 'an HNSW graph'],
  [/^Iw/, 'an inverted-file (IVF) index'],
  [/^IxPQ|^IxPq|^IxPT/, 'product-quantised or transformed vectors'],
  [/^IxS/, 'scalar-quantised vectors'],
  [/^IxM/, 'an IndexIDMap'],
  [/^IB/, 'a binary index'],
];

export interface FaissFlat {
  readonly dimension: number;
  readonly count: number;
  /** All vectors in order, some rows at a time. */
  rows(): AsyncGenerator<Float32Array<ArrayBuffer>>;
}

/** @throws UserError for anything but a whole IndexFlatIP file, naming what it is */
export async function openFaissFlat(file: string): Promise<FaissFlat> {
  const { header, size } = await readHeader(file);
  const code = header.toString('latin1', 0, 4);
  if (code !== 'IxFI') {
    const other = OTHERS.find(([pattern]) => pattern.test(code))?.[1];
    throw new UserError(
      other === undefined
        ? `${file}: no FAISS index (it begins with ${JSON.stringify(code)})`
        : `${file}: holds ${other}, only IndexFlatIP can be read`,
      { hint: 'Write the vectors as a flat index: faiss.write_index(faiss.IndexFlatIP with the vectors added, FILE).' },
    );
  }
  const hint = { hint: 'Copy or download the file again.' };
  if (header.length < HEADER_BYTES) throw new UserError(`${file}: cut short within its header`, hint);
  const dimension = header.readInt32LE(4);
  const count = Number(header.readBigInt64LE(8));
  const metric = header.readInt32LE(33);
  const numbers = Number(header.readBigUInt64LE(37));
  if (metric !== INNER_PRODUCT)
    throw new UserError(`${file}: its metric is number ${metric}, only the inner product (0) can be read`);
  if (dimension < 1 || dimension > LARGEST_DIMENSION || count < 1 || numbers !== dimension * count)
    throw new UserError(
      `${file}: damaged: ${count} vectors of dimension ${dimension} cannot be ${numbers} numbers`,
      hint,
    );
  const expected = HEADER_BYTES + 4 * numbers;
  if (size !== expected) throw new UserError(`${file}: has ${size} bytes, its header promises ${expected}`, hint);
  return { dimension, count, rows: () => readRows(file, dimension) };
}

async function readHeader(file: string): Promise<{ header: Buffer; size: number }> {
  const handle = await open(file, 'r').catch((error) => {
    throw fileError(error, file, 'read');
  });
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    return { header: buffer.subarray(0, bytesRead), size: (await handle.stat()).size };
  } finally {
    await handle.close();
  }
}

async function* readRows(file: string, dimension: number): AsyncGenerator<Float32Array<ArrayBuffer>> {
  const rowBytes = 4 * dimension;
  let rest = Buffer.alloc(0);
  try {
    for await (const part of createReadStream(file, { start: HEADER_BYTES, highWaterMark: READ_BYTES })) {
      const bytes = Buffer.concat([rest, part as Buffer]);
      const whole = bytes.length - (bytes.length % rowBytes);
      // A copy, since the numbers begin at any byte.
      if (whole > 0) yield new Float32Array(Uint8Array.from(bytes.subarray(0, whole)).buffer);
      rest = bytes.subarray(whole);
    }
  } catch (error) {
    throw fileError(error, file, 'read');
  }
}
