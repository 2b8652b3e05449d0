/**
 * The first half of a build: reads the corpus once, writes its passages, and has worker threads make segments of their
 * texts. Segments that an interrupted build left finished are not made again; that they are of the same passages is seen
 * from the hash of all lines up to their end.
 */
import path from 'node:path';
import { UserError } from '../../base/errors.ts';
import type { AnalyzerName } from '../analyzer.ts';
import { readCorpus, searchedText } from '../corpus.ts';
import type { FileSum } from './array-files.ts';
import type { PassageFile } from './manifest.ts';
import { PassageWriter } from './passage-writer.ts';
import { readFinishedSegment, type SegmentRecord, segmentFile, writeSegmentRecord } from './segment.ts';
import { type SegmentWorker, SegmentWorkers } from './segment-workers.ts';

export interface AnalyseOptions {
  readonly files: readonly string[];
  /** Size of all files. */
  readonly bytes: number;
  readonly analyzer: AnalyzerName;
  readonly workers: number;
  /** Bytes of passages in the segment of this index. */
  readonly segmentBytes: (index: number) => number;
  readonly onBad: ((error: UserError) => void) | undefined;
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

/** Characters of text sent to a worker at a time. */
const BATCH_CHARACTERS = 1 << 18;

/** Writes segments into the folder `segmentFolder` and the passages into `indexFolder`. */
export async function analyseCorpus(
  segmentFolder: string,
  indexFolder: string,
  { files, bytes, segmentBytes, onBad, onProgress, signal, ...options }: AnalyseOptions,
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
  let done = false;
  try {
    let feed: SegmentFeed | undefined;
    let begun = 0;
    const end = (last: SegmentFeed) => {
      if (last.finished !== undefined) {
        resumed += last.finished.passages;
        progress(last.finished.passages);
      }
      const segment = last.end(store);
      // A failure is met by the next wait for a worker, or at the end.
      segment.catch(() => {});
      segments.push(segment);
    };
    const onRead = (soFar: number) => {
      read = soFar;
    };
    for await (const passage of readCorpus(files, { onRead, ...(onBad && { onBad }) })) {
      if (feed === undefined) {
        begun = store.bytes;
        const beginning = SegmentFeed.begin(segmentFolder, segments.length, store.passages, workers);
        feed = await Promise.race([beginning, aborted]);
      }
      store.add(passage);
      feed.add(searchedText(passage));
      if (store.bytes - begun < segmentBytes(segments.length)) continue;
      end(feed);
      feed = undefined;
    }
    if (feed !== undefined) end(feed);
    const records = await Promise.race([Promise.all(segments), aborted]);
    done = true;
    return { segments: records, passages: store.passages, corpusHash: store.hash(), files: store.finish() };
  } finally {
    if (!done) store.abandon();
    await workers.close();
  }
}

/** Rejects when the signal is aborted; a build may wait for seconds until a worker is free. */
function rejection(signal: AbortSignal | undefined): Promise<never> {
  const aborted = new Promise<never>((_resolve, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});
  return aborted;
}

/** Takes the texts of one segment to a worker, or to nobody when the segment is finished already. */
class SegmentFeed {
  readonly #folder: string;
  readonly #index: number;
  readonly #first: number;
  readonly #worker: SegmentWorker | undefined;
  readonly finished: SegmentRecord | undefined;
  #texts: string[] = [];
  #characters = 0;

  private constructor(
    folder: string,
    index: number,
    first: number,
    to: { readonly finished: SegmentRecord } | { readonly worker: SegmentWorker },
  ) {
    this.#folder = folder;
    this.#index = index;
    this.#first = first;
    this.finished = 'finished' in to ? to.finished : undefined;
    this.#worker = 'worker' in to ? to.worker : undefined;
  }

  static async begin(folder: string, index: number, first: number, workers: SegmentWorkers): Promise<SegmentFeed> {
    const finished = await readFinishedSegment(folder, index);
    const to = finished === undefined ? { worker: await workers.free() } : { finished };
    return new SegmentFeed(folder, index, first, to);
  }

  add(text: string): void {
    if (this.#worker === undefined) return;
    this.#texts.push(text);
    this.#characters += text.length;
    if (this.#characters >= BATCH_CHARACTERS) this.#send(this.#worker);
  }

  #send(worker: SegmentWorker): void {
    worker.send(this.#texts);
    this.#texts = [];
    this.#characters = 0;
  }

  /** The store has taken the segment's last passage. */
  async end(store: PassageWriter): Promise<SegmentRecord> {
    const prefixHash = store.hash();
    if (this.finished !== undefined) {
      const { first, passages } = this.finished;
      if (this.finished.prefixHash !== prefixHash || first !== this.#first || first + passages !== store.passages)
        throw new UserError('the corpus has changed since this build was interrupted', {
          hint: `Delete ${path.dirname(this.#folder)} to begin anew.`,
        });
      return this.finished;
    }
    const worker = this.#worker!;
    this.#send(worker);
    const written = await worker.end(segmentFile(this.#folder, this.#index), this.#first);
    const record = { ...written, prefixHash };
    await writeSegmentRecord(this.#folder, this.#index, record);
    return record;
  }
}
