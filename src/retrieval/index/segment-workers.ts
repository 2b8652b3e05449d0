/** The worker threads of the build: each makes one segment at a time from the texts that it is sent. */
import { Worker } from 'node:worker_threads';
import type { AnalyzerName } from '../analyzer.ts';
import type { FromBuildWorker, ToBuildWorker } from './build-worker.ts';
import type { SegmentRecord } from './segment.ts';

type Segment = Omit<SegmentRecord, 'prefixHash'>;

const script = new URL(import.meta.url.endsWith('.ts') ? './build-worker.ts' : './build-worker.js', import.meta.url);

export class SegmentWorkers {
  readonly #workers: SegmentWorker[];

  /** @param onAnalysed told how many more passages have been analysed */
  constructor(count: number, analyzer: AnalyzerName, onAnalysed: (passages: number) => void) {
    this.#workers = Array.from({ length: count }, () => new SegmentWorker(analyzer, onAnalysed));
  }

  /** A worker that has nothing to do, as soon as there is one. Rejects when a worker has failed. */
  async free(): Promise<SegmentWorker> {
    return Promise.race(this.#workers.map((worker) => worker.idle.then(() => worker)));
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
  }
}

export class SegmentWorker {
  readonly #worker: Worker;
  readonly #failure: Promise<never>;
  /** Resolves when the worker's last segment is written. */
  idle: Promise<unknown>;
  #written: ((segment: Segment) => void) | undefined;

  constructor(analyzer: AnalyzerName, onAnalysed: (passages: number) => void) {
    // The process's own options may not fit a file, e.g. those of `node -e`.
    this.#worker = new Worker(script, { workerData: { analyzer }, execArgv: [] });
    this.#worker.on('message', (message: FromBuildWorker) => {
      if (message.kind === 'analysed') onAnalysed(message.passages);
      else this.#written?.(message.segment);
    });
    this.#failure = new Promise((_resolve, reject) => {
      this.#worker.on('error', reject);
      this.#worker.on('exit', (code) => reject(new Error(`a thread of the build ended unexpectedly (code ${code})`)));
    });
    this.#failure.catch(() => {});
    this.idle = Promise.resolve();
  }

  /** Sends the next texts of the present segment. */
  send(texts: readonly string[]): void {
    this.#post({ kind: 'texts', texts });
  }

  /** Ends the segment: resolves when its file is written. Rejects when the worker fails. */
  end(file: string, first: number): Promise<Segment> {
    const written = new Promise<Segment>((resolve) => {
      this.#written = resolve;
    });
    this.#post({ kind: 'end', file, first });
    const ended = Promise.race([written, this.#failure]);
    this.idle = ended;
    return ended;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #post(message: ToBuildWorker): void {
    this.#worker.postMessage(message);
  }
}
