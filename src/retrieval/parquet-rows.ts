/** Parquet files as a stream of rows, one row group in memory at a time, read in a thread within limits (parquet-worker.ts). */
import { open } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { UserError } from '../base/errors.ts';
import { fileError } from '../base/files.ts';
import type { BadByte } from '../base/text.ts';
import type { Cell, FromParquetWorker, ParquetWorkerData, ToParquetWorker } from './parquet-worker.ts';

/** One row: its number (from 1), its values by column, and how many of the file's bytes have been read, by estimate. */
export interface ParquetRow {
  readonly row: number;
  readonly read: number;
  readonly value: Record<string, unknown>;
}

/** A value whose bytes are not UTF-8: refused where it is used, by row and field. */
export class NotText {
  readonly bad: BadByte;

  constructor(bad: BadByte) {
    this.bad = bad;
  }
}

/** A value that is neither text, number nor null, as a message shows it. */
export class OtherValue {
  readonly shown: string;

  constructor(shown: string) {
    this.shown = shown;
  }
}

/**
 * Limits of the thread: so much, and for each megabyte that a row group takes of the file so much more. Text is read at 20 to 100
 * megabytes a second, and packed three to ten times.
 */
const HEAP = { base: 256, perMegabyte: 60 };
const LARGEST_HEAP = 4096;
const SECONDS = { base: 5, perMegabyte: 0.5 };
/** How often the time is looked at, in milliseconds. */
const LOOK = 250;

const script = new URL(
  import.meta.url.endsWith('.ts') ? './parquet-worker.ts' : './parquet-worker.js',
  import.meta.url,
);

/** All rows, with those of the wanted columns that the file has. @throws UserError naming the file: absent, damaged, without any of the wanted columns, or beyond the limits */
export async function* readParquetRows(file: string, wanted: readonly string[]): AsyncGenerator<ParquetRow> {
  const size = await sizeOf(file);
  const thread = new ParquetThread({ file, wanted }, size);
  try {
    let row = 0;
    for (let bytes = size; ; ) {
      const answer = await thread.next(bytes);
      if (answer.kind === 'end') return;
      if (answer.kind === 'group') bytes = answer.bytes;
      else if (answer.kind === 'rows')
        for (const cells of answer.rows) yield { row: ++row, read: answer.read, value: valuesOf(cells) };
      else throw refusal(file, wanted, answer);
    }
  } finally {
    await thread.close();
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    const handle = await open(file);
    const { size } = await handle.stat();
    await handle.close();
    return size;
  } catch (error) {
    throw fileError(error, file, 'read');
  }
}

function valuesOf(cells: Readonly<Record<string, Cell>>): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [name, cell] of Object.entries(cells)) {
    if (typeof cell !== 'object' || cell === null) value[name] = cell;
    else value[name] = 'bad' in cell ? new NotText(cell.bad) : new OtherValue(cell.shown);
  }
  return value;
}

function refusal(
  file: string,
  wanted: readonly string[],
  answer: Extract<FromParquetWorker, { kind: 'broken' | 'other-columns' }>,
): UserError {
  if (answer.kind === 'broken') return unreadable(file, answer.reason);
  return new UserError(`${file}: none of the columns ${wanted.join(', ')}; found ${answer.present.join(', ')}`, {
    hint: 'Rename the columns that hold the passages.',
  });
}

function unreadable(file: string, reason: string): UserError {
  return new UserError(`${file}: cannot be read as Parquet (${reason.slice(0, 300)})`, {
    hint: 'Fetch the file again.',
  });
}

class ParquetThread {
  readonly #file: string;
  readonly #worker: Worker;
  #settle: { resolve(answer: FromParquetWorker): void; reject(error: Error): void } | undefined;
  #failed: Error | undefined;

  constructor(data: ParquetWorkerData, size: number) {
    this.#file = data.file;
    const heap = HEAP.base + (HEAP.perMegabyte * size) / 1e6;
    this.#worker = new Worker(script, {
      workerData: data,
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: Math.min(heap, LARGEST_HEAP) },
    });
    this.#worker.on('message', (answer: FromParquetWorker) => this.#settle?.resolve(answer));
    this.#worker.on('error', (error: NodeJS.ErrnoException) =>
      this.#fail(
        error.code === 'ERR_WORKER_OUT_OF_MEMORY'
          ? new UserError(`${this.#file}: a row group of it takes more than ${Math.round(heap)} MB of memory`, {
              hint: 'It is damaged, or was packed to burst; if it is neither, write it with smaller row groups.',
            })
          : unreadable(this.#file, error.message),
      ),
    );
    this.#worker.on('exit', () => this.#fail(unreadable(this.#file, 'its reader ended')));
  }

  /** The next answer. @param bytes of the file that it is to be read from */
  async next(bytes: number): Promise<FromParquetWorker> {
    if (this.#failed !== undefined) throw this.#failed;
    const answer = new Promise<FromParquetWorker>((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#worker.postMessage('next' satisfies ToParquetWorker);
    const seconds = SECONDS.base + (SECONDS.perMegabyte * bytes) / 1e6;
    const begun = process.cpuUsage();
    // Time of the processor, not of the clock: on a busy machine a sound file may take long.
    const timer = setInterval(() => {
      const { user, system } = process.cpuUsage(begun);
      if ((user + system) / 1e6 > seconds)
        this.#fail(
          new UserError(`${this.#file}: a row group of it takes more than ${seconds.toFixed(1)} s to read`, {
            hint: 'It is damaged, or was made to keep its readers busy. Fetch the file again.',
          }),
        );
    }, LOOK);
    try {
      return await answer;
    } finally {
      clearInterval(timer);
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #fail(error: Error): void {
    this.#failed ??= error;
    this.#settle?.reject(this.#failed);
  }
}
