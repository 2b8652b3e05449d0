/** Parquet files as a stream of rows, one row group in memory at a time, read by a process within limits (parquet-process.ts). */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { UserError } from '../base/errors.ts';
import { fileError, shortage } from '../base/files.ts';
import type { BadByte } from '../base/text.ts';
import type { Cell, FromParquetProcess, ToParquetProcess } from './parquet-process.ts';

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
 * Limits of the process: so much, and for each megabyte that a row group takes of the file so much more. Text is read at 20 to
 * 100 megabytes a second, and packed three to ten times.
 */
const HEAP = { base: 256, perMegabyte: 60, most: 4096 };
const SECONDS = { base: 5, perMegabyte: 0.5 };
/** How often the time is looked at, in milliseconds. */
const LOOK = 250;
/** Where only the clock can be looked at: other programs may take most of the processor's time. */
const CLOCK = 6;

const script = new URL(
  import.meta.url.endsWith('.ts') ? './parquet-process.ts' : './parquet-process.js',
  import.meta.url,
);

/** All rows, with those of the wanted columns that the file has. @throws UserError naming the file: absent, damaged, without any of the wanted columns, or beyond the limits */
export async function* readParquetRows(file: string, wanted: readonly string[]): AsyncGenerator<ParquetRow> {
  const size = await sizeOf(file);
  const reader = new ParquetReader(file, wanted, size);
  try {
    let row = 0;
    for (let bytes = size; ; ) {
      const answer = await reader.next(bytes);
      if (answer.kind === 'end') return;
      if (answer.kind === 'group') bytes = answer.bytes;
      else if (answer.kind === 'rows')
        for (const cells of answer.rows) yield { row: ++row, read: answer.read, value: valuesOf(cells) };
      else throw refusal(file, wanted, answer);
    }
  } finally {
    await reader.close();
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
  answer: Extract<FromParquetProcess, { kind: 'broken' | 'other-columns' }>,
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

class ParquetReader {
  readonly #file: string;
  readonly #process: ChildProcess;
  readonly #exit: Promise<void>;
  #settle: { resolve(answer: FromParquetProcess): void; reject(error: Error): void } | undefined;
  #failed: Error | undefined;

  constructor(file: string, wanted: readonly string[], size: number) {
    this.#file = file;
    const heap = Math.round(Math.min(HEAP.most, HEAP.base + (HEAP.perMegabyte * size) / 1e6));
    this.#process = fork(script, [file, ...wanted], {
      execArgv: [`--max-old-space-size=${heap}`],
      serialization: 'advanced',
      // What it would say at its end says nothing to users.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const exit = Promise.withResolvers<void>();
    this.#exit = exit.promise;
    this.#process.on('message', (answer: FromParquetProcess) => this.#settle?.resolve(answer));
    this.#process.on('error', (error) => {
      this.#fail(shortage(error, `${file}: its reader`) ?? unreadable(file, error.message));
      exit.resolve();
    });
    this.#process.on('exit', () => {
      this.#fail(
        new UserError(`${file}: its reader ended, as a row group that takes more than ${heap} MB of memory ends it`, {
          hint: 'It is damaged, or was packed to burst; if it is neither, write it with smaller row groups.',
        }),
      );
      exit.resolve();
    });
  }

  /** The next answer. @param bytes of the file that it is to be read from */
  async next(bytes: number): Promise<FromParquetProcess> {
    if (this.#failed !== undefined) throw this.#failed;
    const answer = new Promise<FromParquetProcess>((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // A process that could not be started has nothing to send with; its error follows.
    if (this.#process.connected) this.#process.send('next' satisfies ToParquetProcess, () => {});
    const seconds = SECONDS.base + (SECONDS.perMegabyte * bytes) / 1e6;
    const spent = stopwatch(this.#process.pid!);
    const timer = setInterval(() => {
      if (spent() > seconds)
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
    this.#process.kill('SIGKILL');
    await this.#exit;
  }

  #fail(error: Error): void {
    this.#failed ??= error;
    this.#settle?.reject(this.#failed);
  }
}

/** Seconds of the processor that a process has had from now on, where the system tells them: on a busy machine a sound file may take long. */
function stopwatch(pid: number): () => number {
  const processor = () => {
    try {
      // utime and stime, in hundredths of a second; before them stands the name, in brackets.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    } catch {
      return undefined;
    }
  };
  const [before, begun] = [processor(), performance.now()];
  return () => {
    const now = processor();
    return before === undefined || now === undefined ? (performance.now() - begun) / 1000 / CLOCK : now - before;
  };
}
