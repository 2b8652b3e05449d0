/**
 * The worker processes of the build: each makes one segment at a time. They are processes and not threads so that their
 * memory goes back to the system with them, and so that heap and allocator have settings of their own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { UserError } from '../../base/errors.ts';
import { shortage } from '../../base/files.ts';
import type { AnalyzerName } from '../analyzer.ts';
import type { FromBuildWorker, SegmentTask } from './build-worker.ts';
import type { SegmentRecord } from './segment.ts';

type Segment = Omit<SegmentRecord, 'prefixHash'>;

const script = new URL(import.meta.url.endsWith('.ts') ? './build-worker.ts' : './build-worker.js', import.meta.url);

/** Young objects within 3 · 4 MB instead of 3 · 16 MB. */
const heap = ['--max-semi-space-size=4'];
/** The same for glibc, which by default keeps arrays that were freed, and an arena for each thread; other systems pass over it. */
const allocator = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TRIM_THRESHOLD_: '131072' };

export class SegmentWorkers {
  readonly #start: () => SegmentWorker;
  readonly #most: number;
  readonly #workers: SegmentWorker[] = [];
  readonly #idle: SegmentWorker[] = [];
  readonly #waiting: ((worker: SegmentWorker) => void)[] = [];

  /** At most `most` processes, started when they are needed. @param onAnalysed told how many more passages have been analysed */
  constructor(most: number, analyzer: AnalyzerName, onAnalysed: (passages: number) => void) {
    this.#most = most;
    this.#start = () => new SegmentWorker(analyzer, onAnalysed);
  }

  /** Has a segment made, in the order of the calls, as soon as a worker has nothing else to do. Rejects when the worker fails. */
  async make(task: SegmentTask): Promise<Segment> {
    const worker = await this.#free();
    const segment = await worker.make(task);
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(worker);
    else next(worker);
    return segment;
  }

  #free(): SegmentWorker | Promise<SegmentWorker> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#workers.length === this.#most) return new Promise((resolve) => this.#waiting.push(resolve));
    const started = this.#start();
    this.#workers.push(started);
    return started;
  }

  /** Ends all processes, whatever they are doing. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
  }
}

class SegmentWorker {
  readonly #process: ChildProcess;
  readonly #exit: Promise<void>;
  readonly #failure: Promise<never>;
  #written: ((segment: Segment) => void) | undefined;

  constructor(analyzer: AnalyzerName, onAnalysed: (passages: number) => void) {
    // The parent's own options may not fit a file, e.g. those of `node -e`.
    this.#process = fork(script, [analyzer], { execArgv: heap, env: { ...process.env, ...allocator } });
    const failure = Promise.withResolvers<never>();
    this.#failure = failure.promise;
    this.#failure.catch(() => {});
    const exit = Promise.withResolvers<void>();
    this.#exit = exit.promise;
    this.#process.on('message', (message: FromBuildWorker) => {
      if (message.kind === 'analysed') onAnalysed(message.passages);
      else if (message.kind === 'written') this.#written?.(message.segment);
      else failure.reject(errorOf(message));
    });
    this.#process.on('error', (error) => {
      failure.reject(shortage(error, 'a worker process of the build') ?? error);
      exit.resolve();
    });
    this.#process.on('exit', (code, signal) => {
      const how = signal === null ? `code ${code}` : `by ${signal}`;
      failure.reject(
        new UserError(`a worker process of the build ended unexpectedly (${how})`, {
          hint: 'The system may have been short of memory: give less --memory or fewer --workers, or continue with the same command.',
        }),
      );
      exit.resolve();
    });
  }

  make(task: SegmentTask): Promise<Segment> {
    const written = new Promise<Segment>((resolve) => {
      this.#written = resolve;
    });
    // A process that has ended already is reported by its exit, one that could not be started by its error.
    if (this.#process.connected) this.#process.send(task, () => {});
    return Promise.race([written, this.#failure]);
  }

  async close(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exit;
  }
}

function errorOf({ user, message, hint }: Extract<FromBuildWorker, { kind: 'failed' }>): Error {
  return user ? new UserError(message, hint === undefined ? {} : { hint }) : new Error(message);
}
