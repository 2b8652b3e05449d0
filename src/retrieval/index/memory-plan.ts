/** How many workers a build has and how large its segments are, so that all its processes together stay within a stated memory. */
import { availableParallelism } from 'node:os';
import { UserError } from '../../base/errors.ts';

const MB = 1e6;

// Bounds on resident memory, from what was measured: bench/results.md.
/** The main process: Node, reading with its garbage, and the buffers of files. */
const PROCESS_BYTES = 280 * MB;
/** A worker process: Node, and the words that its analyzer remembers. */
const WORKER_BYTES = 95 * MB;
/** For each byte of passages in a segment: its postings twice while they are sorted, its dictionary, and garbage. */
const BYTES_PER_SEGMENT_BYTE = 10;
/** The set of ids while it grows (id-set.ts). */
const BYTES_PER_ID = 36;
/** Shorter passages would need more for their ids than is set aside. */
const BYTES_PER_PASSAGE = 600;

const SMALLEST_SEGMENT = 4 * MB;
const LARGEST_SEGMENT = 32 * MB;

export interface MemoryPlan {
  readonly workers: number;
  /** Bytes of passages in the segment of an index from 0: small ones first, so that small corpora keep all workers busy. */
  readonly segmentBytes: (index: number) => number;
}

/** @throws UserError when the memory is too small for the corpus or the number of workers asked for */
export function memoryPlan(given: {
  readonly memory: number;
  readonly workers?: number;
  /** Uncompressed. */
  readonly corpusBytes: number;
  readonly segmentBytes?: number;
}): MemoryPlan {
  const ids = (BYTES_PER_ID * given.corpusBytes) / BYTES_PER_PASSAGE;
  const left = given.memory - PROCESS_BYTES - ids;
  const leastWorker = WORKER_BYTES + BYTES_PER_SEGMENT_BYTE * SMALLEST_SEGMENT;
  const affordable = Math.floor(left / leastWorker);
  const workers = given.workers ?? Math.min(availableParallelism(), Math.max(1, affordable));
  if (workers > affordable) {
    const needed = Math.ceil((PROCESS_BYTES + ids + workers * leastWorker) / MB);
    throw new UserError(
      `--memory ${Math.floor(given.memory / MB)} MB is too little for ${workers} workers and this corpus`,
      {
        hint: `Give at least --memory ${needed}MB${workers > 1 ? ', or fewer --workers' : ''}.`,
      },
    );
  }
  const largest = Math.min(LARGEST_SEGMENT, (left / workers - WORKER_BYTES) / BYTES_PER_SEGMENT_BYTE);
  return {
    workers,
    segmentBytes: (index) => given.segmentBytes ?? Math.min(largest, SMALLEST_SEGMENT * 2 ** Math.floor(index / 8)),
  };
}
