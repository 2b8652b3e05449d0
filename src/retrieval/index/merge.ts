/**
 * From finished segments to the files of an index: the terms of all segments in order, and for each its postings of one
 * segment after the other. They are in ascending order, since the segments follow one another in the corpus.
 * Memory: up to 12 bytes a passage, 0.3 MB a segment, and at the end the dictionary, about 30 bytes a term.
 */
import { setImmediate } from 'node:timers/promises';
import { UserError } from '../../base/errors.ts';
import { IndexWriter, type WriterOptions, type Written } from './index-writer.ts';
import { MinHeap } from './min-heap.ts';
import { type SegmentRecord, segmentFile } from './segment.ts';
import { SegmentReader } from './segment-reader.ts';

export interface MergeOptions extends WriterOptions {
  /** Told now and then which share of the postings has been merged. */
  readonly onProgress: (fraction: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** Postings in memory at a time, and between two turns of the event loop. */
const CHUNK = 1 << 14;
const POSTINGS_PER_TURN = 1 << 18;

/** Merges all segments of the folder `from`, given in order, into the folder `to`. */
export async function mergeSegments(
  segments: readonly SegmentRecord[],
  from: string,
  to: string,
  { onProgress, signal, ...options }: MergeOptions,
): Promise<Written> {
  const size = segments.reduce((sum, segment) => sum + segment.postings, 0);
  if (size >= 2 ** 32)
    throw new UserError(`the corpus has ${size} postings; an index holds at most ${2 ** 32 - 1}`, {
      hint: 'Split the corpus into several indexes.',
    });
  const readers: SegmentReader[] = [];
  let writer: IndexWriter | undefined;
  try {
    for (const [i, record] of segments.entries()) readers.push(new SegmentReader(segmentFile(from, i), record));
    writer = new IndexWriter(to, concatenate(readers.map((reader) => reader.lengths)), options);
    let merged = 0;
    let turn = 0;
    for (const count of mergeTerms(readers, writer)) {
      merged += count;
      turn += count;
      if (turn < POSTINGS_PER_TURN) continue;
      turn = 0;
      onProgress(merged / size);
      await setImmediate();
      signal?.throwIfAborted();
    }
    const written = writer.finish();
    writer = undefined;
    return written;
  } finally {
    writer?.abandon();
    for (const reader of readers) reader.close();
  }
}

/** Writes one term after the other; yields the number of postings written, after every chunk. */
function* mergeTerms(readers: readonly SegmentReader[], writer: IndexWriter): Generator<number> {
  const order = new Map(readers.map((reader, i) => [reader, i]));
  const isFirst = (x: SegmentReader, y: SegmentReader) =>
    x.term! < y.term! || (x.term === y.term && order.get(x)! < order.get(y)!);
  const waiting = new MinHeap(isFirst);
  for (const reader of readers) if (reader.term !== undefined) waiting.push(reader);

  const positions = new Uint32Array(CHUNK);
  const frequencies = new Uint32Array(CHUNK);
  for (let reader = waiting.pop(); reader !== undefined; reader = waiting.pop()) {
    const term = reader.term!;
    while (reader.left > 0) {
      const count = reader.read(positions, frequencies);
      writer.postings(positions, frequencies, count);
      yield count;
    }
    if (waiting.least?.term !== term) writer.endTerm(term);
    reader.next();
    if (reader.term !== undefined) waiting.push(reader);
  }
}

function concatenate(parts: readonly Uint32Array[]): Uint32Array {
  const whole = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
