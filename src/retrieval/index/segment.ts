/**
 * Segments: the postings of consecutive passages as files, written by a worker and read by the merge (segment-reader.ts).
 * The record of a segment is written after its file and makes it count as finished.
 */
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { hasCode } from '../../base/errors.ts';
import { readJson, writeFileAtomic } from '../../base/files.ts';
import { type FileSum, verifyFile } from './array-files.ts';
import type { Postings } from './postings.ts';

const count = z.int().nonnegative();

const recordSchema = z.strictObject({
  /** Position in the corpus of the first passage. */
  first: count,
  passages: count,
  terms: count,
  termBytes: count,
  postings: count,
  large: count,
  bytes: count,
  crc32: count,
  /** SHA-256 of the corpus, as in `corpusHash`, up to and with the segment's last passage: the same only for the same passages. */
  prefixHash: z.string(),
});

export type SegmentRecord = z.infer<typeof recordSchema>;

const name = (index: number) => String(index).padStart(5, '0');
export const segmentFile = (folder: string, index: number) => path.join(folder, `${name(index)}.segment`);
const recordFile = (folder: string, index: number) => path.join(folder, `${name(index)}.json`);

/**
 * Writes a segment's file, its sections one after the other: lengths, bytes of each term, postings of each term, positions,
 * large frequencies (posting, then value), all uint32; the terms in UTF-8; frequencies, a byte each.
 * Positions become those in the corpus, `first` being the one of the segment's first passage.
 */
export async function writeSegment(
  file: string,
  postings: Postings,
  first: number,
): Promise<Omit<SegmentRecord, 'prefixHash'>> {
  const { lengths, terms, postingStarts, positions, frequencies, largeFrequencies } = postings;
  for (let i = 0; i < positions.length; i++) positions[i]! += first;
  const counts = new Uint32Array(terms.length);
  for (let t = 0; t < terms.length; t++) counts[t] = postingStarts[t + 1]! - postingStarts[t]!;
  const termSizes = Uint32Array.from(terms, (term) => Buffer.byteLength(term));
  const text = Buffer.from(terms.join(''));
  const sections = [
    ...[lengths, termSizes, counts, positions, largeFrequencies.postings, largeFrequencies.values],
    ...[text, frequencies],
  ].map((array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  await writeFileAtomic(file, sections);
  return {
    first,
    passages: lengths.length,
    terms: terms.length,
    termBytes: text.length,
    postings: positions.length,
    large: largeFrequencies.values.length,
    bytes: sections.reduce((sum, section) => sum + section.length, 0),
    crc32: sections.reduce((sum, section) => crc32(section, sum), 0),
  };
}

export async function writeSegmentRecord(folder: string, index: number, record: SegmentRecord): Promise<void> {
  await writeFileAtomic(recordFile(folder, index), JSON.stringify(record));
}

/** The record of a finished segment; undefined when it is not there or not whole, and has to be made again. */
export async function readFinishedSegment(folder: string, index: number): Promise<SegmentRecord | undefined> {
  try {
    const record = recordSchema.parse(await readJson(recordFile(folder, index)));
    verifyFile(segmentFile(folder, index), record satisfies FileSum);
    return record;
  } catch (error) {
    if (hasCode(error, 'EACCES', 'EPERM')) throw error;
    return undefined;
  }
}
