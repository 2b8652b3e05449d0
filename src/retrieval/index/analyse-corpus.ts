/**
 * The first half of a build: reads the corpus once, writes its passages, and has worker processes make segments of them,
 * which they read from what has been written: no text waits in memory. Segments that an interrupted build left finished
 * are not made again; that they are of the same passages is seen from the hash of all lines up to their end.
 */
import path from 'node:path';
import { UserError } from '../../base/errors.ts';
import type { AnalyzerName } from '../analyzer.ts';
import { readCorpus } from '../corpus.ts';
import type { FileSum } from './array-files.ts';
import type { SegmentTask } from './build-worker.ts';
import { collectGarbage } from './collect-garbage.ts';
import type { PassageFile } from './manifest.ts';
import { PassageWriter } from './passage-writer.ts';
import { readFinishedSegment, type SegmentRecord, segmentFile, writeSegmentRecord } from './segment.ts';
import { SegmentWorkers } from './segment-workers.ts';

export interface AnalyseOptions {
  readonly files: readonly string[];
  /** Size of all files. */
  readonly bytes: number;
  readonly analyzer: AnalyzerName;
  readonly workers: number;
  /** Bytes of passages in the segment of this index. */
  readonly segmentBytes: (index: number) => number;
  readonly onBad: ((error: UserError) => void) | undefined;
  readonly onBlank: (() => void) | undefined;
  readonly onProgress: (progress: AnalyseProgress) => void;
  readonly signal: AbortSignal | undefined;
}

export interface AnalyseProgress {
  /** Passages analysed, those of an interrupted build included. */
  readonly passages: number;
  /** Passages whose segments an interrupted build had finished. */
  readonly resumed: number;
  /** Share of the corpus files whose passages have been analysed, about; and of those that an interrupted build had done. */
  readonly fraction: number;
  readonly resumedFraction: number;
}

export interface Analysed {
  readonly segments: readonly SegmentRecord[];
  readonly passages: number;
  readonly corpusHash: string;
  readonly files: Record<PassageFile, FileSum>;
}

/** Writes segments into the folder `segmentFolder` and the passages into `indexFolder`. */
export async function analyseCorpus(
  segmentFolder: string,
  indexFolder: string,
  { files, bytes, segmentBytes, onBad, onBlank, onProgress, signal, ...options }: AnalyseOptions,
): Promise<Analysed> {
  const segments: Promise<SegmentRecord>[] = [];
  let [analysed, resumed, read] = [0, 0, 0];
  const progress = (passages: number) => {
    analysed += passages;
    const share = (passages: number) => Math.min(1, (read * passages) / store.passages / bytes);
    onProgress({ passages: analysed, resumed, fraction: share(analysed), resumedFraction: share(resumed) });
  };
  const store = new PassageWriter(indexFolder);
  const workers = new SegmentWorkers(options.workers, options.analyzer, progress);
  const aborted = rejection(signal);
  let failure: { readonly error: unknown } | undefined;
  let done = false;
  try {
    let begin = { bytes: 0, passages: 0 };
    const endSegment = async () => {
      const [index, { bytes: from, passages: first }] = [segments.length, begin];
      const to = store.bytes;
      begin = { bytes: to, passages: store.passages };
      const [passages, prefixHash] = [store.passages - first, store.hash()];
      store.flush();
      const finished = await readFinishedSegment(segmentFolder, index);
      if (finished !== undefined) {
        refuseOtherCorpus(finished, { first, passages, prefixHash }, segmentFolder);
        resumed += passages;
        progress(passages);
      }
      const made = finished ?? makeSegment(index, { passages: store.file, from, to, first }, prefixHash);
      const segment = Promise.resolve(made);
      segment.catch((error: unknown) => {
        failure ??= { error };
      });
      segments.push(segment);
      collectGarbage();
    };
    const makeSegment = async (index: number, range: Omit<SegmentTask, 'file'>, prefixHash: string) => {
      const written = await workers.make({ ...range, file: segmentFile(segmentFolder, index) });
      const record = { ...written, prefixHash };
      await writeSegmentRecord(segmentFolder, index, record);
      return record;
    };
    const onRead = (soFar: number) => {
      read = soFar;
    };
    for await (const passage of readCorpus(files, { onRead, ...(onBad && { onBad }), ...(onBlank && { onBlank }) })) {
      store.add(passage);
      if (store.bytes - begin.bytes < segmentBytes(segments.length)) continue;
      await endSegment();
      signal?.throwIfAborted();
      if (failure !== undefined) throw failure.error;
    }
    if (store.bytes > begin.bytes) await endSegment();
    const records = await Promise.race([Promise.all(segments), aborted]);
    done = true;
    return { segments: records, passages: store.passages, corpusHash: store.hash(), files: store.finish() };
  } finally {
    if (!done) store.abandon();
    await workers.close();
  }
}

/** A finished segment is of use when its passages are those that have just been read. */
function refuseOtherCorpus(
  finished: SegmentRecord,
  read: Pick<SegmentRecord, 'first' | 'passages' | 'prefixHash'>,
  folder: string,
): void {
  const { first, passages, prefixHash } = read;
  if (finished.prefixHash !== prefixHash || finished.first !== first || finished.passages !== passages)
    throw new UserError('the corpus has changed since this build was interrupted', {
      hint: `Delete ${path.dirname(folder)} to begin anew.`,
    });
}

/** Rejects when the signal is aborted; a build may wait for seconds for the last workers. */
function rejection(signal: AbortSignal | undefined): Promise<never> {
  const aborted = new Promise<never>((_resolve, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});
  return aborted;
}
