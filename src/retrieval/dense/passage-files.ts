/** Writes the passages of a dense index, in the form that `PassageStore` reads: the lines, and a table of where they end. */
import { createHash } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { UserError } from '../../base/errors.ts';
import { fileError, makeFolder, writeFileAtomic } from '../../base/files.ts';
import type { PassageTable } from '../index/passage-store.ts';
import type { Passage } from '../retriever.ts';

const LINES = 'passages.jsonl';
/** For each passage the byte behind its line (float64, little-endian); then the CRC-32 of each line (uint32). */
const TABLE = 'passages.table';
const WRITE_BYTES = 1 << 20;

export const passageFilesSchema = z.strictObject({
  passages: z.int().positive(),
  /** SHA-256 of passages.jsonl. */
  corpusHash: z.string().length(64),
  /** Size of passages.jsonl. */
  bytes: z.int().positive(),
  /** CRC-32 of passages.table. */
  tableChecksum: z.int().nonnegative(),
});
export type PassageFiles = Readonly<z.infer<typeof passageFilesSchema>>;

/** Writes both files anew. Held in memory: 12 bytes a passage. */
export async function writePassages(
  folder: string,
  corpus: AsyncIterable<Passage>,
  signal?: AbortSignal,
): Promise<PassageFiles> {
  await makeFolder(folder);
  const file = path.join(folder, LINES);
  const handle = await open(file, 'w').catch((error) => {
    throw fileError(error, file, 'write');
  });
  const hash = createHash('sha256');
  const ends: number[] = [];
  const sums: number[] = [];
  let bytes = 0;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  const flush = async () => {
    await handle.writev(waiting).catch((error) => {
      throw fileError(error, file, 'write');
    });
    waiting = [];
    waitingBytes = 0;
  };
  try {
    for await (const { id, title, text } of corpus) {
      const line = Buffer.from(`${JSON.stringify([id, title, text])}\n`);
      hash.update(line);
      bytes += line.length;
      ends.push(bytes);
      sums.push(crc32(line));
      waiting.push(line);
      waitingBytes += line.length;
      if (waitingBytes < WRITE_BYTES) continue;
      signal?.throwIfAborted();
      await flush();
    }
    if (waiting.length > 0) await flush();
    await handle.sync();
  } finally {
    await handle.close();
  }
  const table = Buffer.concat([bytesOf(Float64Array.from(ends)), bytesOf(Uint32Array.from(sums))]);
  await writeFileAtomic(path.join(folder, TABLE), table);
  return { passages: ends.length, corpusHash: hash.digest('hex'), bytes, tableChecksum: crc32(table) };
}

/** @throws UserError when the files are not those that were written */
export async function readPassageTable(
  folder: string,
  { passages, bytes, tableChecksum }: PassageFiles,
): Promise<PassageTable> {
  const [file, tableFile] = [path.join(folder, LINES), path.join(folder, TABLE)];
  const { size } = await stat(file).catch((error) => {
    throw fileError(error, file, 'read');
  });
  const table = await readFile(tableFile).catch((error) => {
    throw fileError(error, tableFile, 'read');
  });
  const hint = { hint: 'Build the index again, or copy it again.' };
  if (size !== bytes) throw new UserError(`${file}: damaged: it has ${size} bytes, its manifest says ${bytes}`, hint);
  if (table.length !== 12 * passages || crc32(table) !== tableChecksum)
    throw new UserError(`${tableFile}: damaged: its checksum is wrong`, hint);
  const copy = Uint8Array.from(table).buffer;
  return { file, ends: new Float64Array(copy, 0, passages), sums: new Uint32Array(copy, 8 * passages) };
}

function bytesOf(data: Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
