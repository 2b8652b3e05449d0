/** The passages of a dense index: the same three files as those of a BM25 index. */
import path from 'node:path';
import { z } from 'zod';
import { readArray, verifySize } from '../index/array-files.ts';
import { checkTable } from '../index/check.ts';
import { FILES } from '../index/manifest.ts';
import type { PassageTable } from '../index/passage-store.ts';
import { PassageWriter } from '../index/passage-writer.ts';
import type { Passage } from '../retriever.ts';

const sumSchema = z.strictObject({ bytes: z.int().nonnegative(), crc32: z.int().nonnegative() });

export const passageFilesSchema = z.strictObject({
  passages: z.int().positive(),
  /** SHA-256 of passages.jsonl. */
  corpusHash: z.string().length(64),
  /** Size and CRC-32 of each file. */
  files: z.strictObject({
    [FILES.passages]: sumSchema,
    [FILES.passageEnds]: sumSchema,
    [FILES.passageSums]: sumSchema,
  }),
});
export type PassageFiles = Readonly<z.infer<typeof passageFilesSchema>>;

/** Passages between two looks at the signal and turns of the event loop. */
const PASSAGES_PER_TURN = 1024;

/** Writes the files anew. */
export async function writePassages(
  folder: string,
  corpus: AsyncIterable<Passage>,
  signal?: AbortSignal,
): Promise<PassageFiles> {
  const writer = new PassageWriter(folder);
  try {
    for await (const passage of corpus) {
      if (writer.passages % PASSAGES_PER_TURN === 0) {
        await new Promise((resume) => setImmediate(resume));
        signal?.throwIfAborted();
      }
      writer.add(passage);
    }
    return { passages: writer.passages, corpusHash: writer.hash(), files: writer.finish() };
  } catch (error) {
    writer.abandon();
    throw error;
  }
}

/** @throws UserError when the files are not those that were written; a damaged line, when it is read */
export function readPassageTable(folder: string, { passages, files }: PassageFiles): PassageTable {
  const file = path.join(folder, FILES.passages);
  verifySize(file, files[FILES.passages]);
  const table = {
    file,
    ends: readArray(Float64Array, path.join(folder, FILES.passageEnds), files[FILES.passageEnds]),
    sums: readArray(Uint32Array, path.join(folder, FILES.passageSums), files[FILES.passageSums]),
  };
  checkTable(table, passages, files[FILES.passages].bytes);
  return table;
}
