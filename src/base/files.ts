/** Files as the house keeps them: written whole or not at all, texts read through text.ts, errors that name file and line. */
import { createHash } from 'node:crypto';
import { createReadStream, ReadStream } from 'node:fs';
import { copyFile, type FileHandle, link, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { hasCode, messageOf, UserError } from './errors.ts';
import {
  type BadByte,
  decodeText,
  decodeUtf8,
  formOf,
  notUtf8,
  otherForm,
  parseJson,
  shown,
  visible,
  withoutMark,
} from './text.ts';
import { HEAD_BYTES, unpacked } from './unpack.ts';

/** What a system's refusals mean, by code; the rest is told in the system's words. */
const meanings: Readonly<Record<string, { readonly text: string; readonly hint?: string; readonly continues?: true }>> =
  {
    ENOENT: { text: 'no such file or directory' },
    EISDIR: { text: 'is a directory, a file was expected' },
    ENOTDIR: { text: 'a part of this path is not a directory' },
    EEXIST: { text: 'a part of this path is not a directory' },
    ENOSPC: { text: 'the disk is full', hint: 'Free some space.', continues: true },
    EDQUOT: { text: 'the disk quota is used up', hint: 'Free some space.', continues: true },
    EFBIG: {
      text: 'the file may not grow further',
      hint: 'A limit of the shell (ulimit -f) or of the file system; raise it, or choose another place.',
    },
    ENAMETOOLONG: { text: 'the name is too long for this file system' },
    ERR_INVALID_ARG_VALUE: { text: 'is no name of a file (it holds a character that none may have)' },
    EMFILE: {
      text: 'too many files are open',
      hint: 'Raise the limit, for example with: ulimit -n 4096',
      continues: true,
    },
    ENFILE: { text: 'too many files are open on this machine', hint: 'End other programs.', continues: true },
    ELOOP: { text: 'symbolic links lead in a circle' },
  };
const PERMISSION = 'Check the permissions or choose another place.';

/** Where Node keeps a system's code in the message alone: as it starts a thread, and as it looks for the package.json of a module. */
const HIDDEN = /\bEMFILE\b|too many open files/;

/**
 * What the machine lacks (open files, space on a disk), when that is what failed, however deep among the causes; undefined for all else.
 * @param who had it not, for the message
 */
export function shortage(error: unknown, who: string): UserError | undefined {
  if (!(error instanceof Error) || error instanceof UserError) return undefined;
  const code = HIDDEN.test(error.message) ? 'EMFILE' : 'code' in error ? String(error.code) : '';
  const meaning = meanings[code];
  if (!meaning?.continues) return shortage(error.cause, who);
  const { text, hint } = meaning;
  return new UserError(`${who}: ${text}`, { ...(hint === undefined ? {} : { hint }), continues: true, cause: error });
}

/** Turns a system error into one that says what to do; anything else passes through. */
export function fileError(error: unknown, file: string, doing: 'read' | 'write'): Error {
  if (error instanceof UserError || !(error instanceof Error) || !('code' in error))
    return error instanceof Error ? error : new Error(String(error));
  const meaning = meanings[String(error.code)];
  const name = visible(file).length > 200 ? `${visible(file).slice(0, 200)}…` : visible(file);
  if (meaning !== undefined)
    return new UserError(`${name}: ${meaning.text}`, {
      ...(meaning.hint === undefined ? {} : { hint: meaning.hint }),
      ...(meaning.continues === undefined ? {} : { continues: meaning.continues }),
      cause: error,
    });
  // Whatever else the system refuses: EACCES, EPERM, EROFS, EIO, ENXIO, ESTALE …
  if ('syscall' in error)
    return new UserError(`${name}: cannot ${doing} (${messageOf(error)})`, {
      ...(hasCode(error, 'EACCES', 'EPERM', 'EROFS') ? { hint: PERMISSION } : {}),
      cause: error,
    });
  return error;
}

/**
 * Creates a folder and those above it that are missing. (Node's own recursive mkdir never returns where the system
 * refuses new folders with ENOENT, as /proc does.)
 */
export async function makeFolder(folder: string): Promise<void> {
  const make = () =>
    mkdir(folder).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
  try {
    await make();
  } catch (error) {
    const above = path.dirname(folder);
    if (!hasCode(error, 'ENOENT') || above === folder) throw fileError(error, folder, 'write');
    await makeFolder(above);
    await make().catch((again: unknown) => {
      throw hasCode(again, 'ENOENT')
        ? new UserError(`${folder}: this folder cannot be created here`, {
            hint: 'Choose another place.',
            cause: again,
          })
        : fileError(again, folder, 'write');
    });
  }
}

/** Writes a whole file or nothing: temporary file, fsync, rename, fsync of the folder. Creates missing folders. */
export async function writeFileAtomic(
  file: string,
  data: string | Uint8Array | Iterable<Uint8Array>,
  { durable = true }: { readonly durable?: boolean } = {},
): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await makeFolder(path.dirname(file));
    const handle = await open(temporary, 'w');
    try {
      if (typeof data === 'string' || data instanceof Uint8Array) await handle.writeFile(data);
      else for (const part of data) await handle.writeFile(part);
      if (durable) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    if (durable) await syncFolder(path.dirname(file));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw fileError(error, file, 'write');
  }
}

/** Makes a rename or a new entry in a folder durable (not every system allows it; then nothing is lost by trying). */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/**
 * The folder `from` once more as `to`: its files are shared by hard links, and copied where the file system has none. Only for
 * files that are never written in place: a change would be a change to both.
 */
export async function shareFolder(from: string, to: string): Promise<void> {
  try {
    await makeFolder(to);
    for (const entry of await readdir(from, { withFileTypes: true })) {
      const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
      if (entry.isDirectory()) await shareFolder(source, target);
      else await link(source, target).catch(() => copyFile(source, target));
    }
  } catch (error) {
    throw fileError(error, to, 'write');
  }
}

/** Largest file that is read as one text, in bytes: the benchmarks' own files have 60 MB, the largest tokenizers 40. */
export const TEXT_FILE_BYTES = 2 ** 27;
/** Longest line that is read, in bytes. */
export const LINE_BYTES = 2 ** 26;

/**
 * Reads a whole text file (UTF-8, a byte order mark dropped).
 * @throws UserError naming the file: absent, not text, not UTF-8, larger than `TEXT_FILE_BYTES`
 */
export async function readText(file: string): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    // Not readFile: what is read may be a pipe or a device, and end nowhere.
    for await (const part of createReadStream(file, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > TEXT_FILE_BYTES)
        throw new UserError(`${file}: larger than ${TEXT_FILE_BYTES / 2 ** 20} MB, the most that is read as one text`, {
          hint: 'Is it the right file? Many records belong into JSONL, one a line.',
        });
      parts.push(part);
    }
  } catch (error) {
    throw fileError(error, file, 'read');
  }
  const bytes = Buffer.concat(parts);
  const form = formOf(bytes.subarray(0, HEAD_BYTES));
  if (form !== undefined)
    throw otherForm(file, typeof form === 'object' ? form : { named: `compressed by ${form}`, hint: 'Unpack it.' });
  return decodeText(bytes, file);
}

/** Reads and parses a JSON file. @throws UserError as `readText` and `parseJson` */
export async function readJson(file: string): Promise<unknown> {
  return parseJson(await readText(file), file);
}

/** One line of a JSONL file: its number (from 1) and its value. */
export interface JsonLine {
  readonly line: number;
  readonly value: unknown;
}

/** Reads JSONL as `readLines` reads lines; blank lines are passed over. "-" is standard input. */
export async function* readJsonLines(file: string): AsyncGenerator<JsonLine> {
  for await (const entry of readLines(file))
    if (!entry.isBlank) yield { line: entry.line, value: parseJsonLine(entry.text, lineOf(file, entry.line)) };
}

/** One line of a text file. */
export class TextLine {
  /** Its number, from 1. */
  readonly line: number;
  /** How many of the file's bytes have been read. */
  readonly read: number;
  readonly #text: string | UserError;

  constructor(line: number, read: number, text: string | UserError) {
    this.line = line;
    this.read = read;
    this.#text = text;
  }

  /** True where nothing but white space stands in it. */
  get isBlank(): boolean {
    return typeof this.#text === 'string' && this.#text.trim() === '';
  }

  /** The line without its end. @throws UserError naming file, line and byte where it is not UTF-8; the lines behind it can still be read */
  get text(): string {
    if (typeof this.#text === 'string') return this.#text;
    throw this.#text;
  }
}

const [LINE_FEED, CARRIAGE_RETURN] = [0x0a, 0x0d];

/**
 * Reads the lines of a text file as a stream: plain, gzip or zstd, whatever its name; UTF-8, with one byte order mark at its start
 * dropped; lines end in LF, CR LF, or (where the beginning has no LF) CR alone. "-" is standard input.
 * @throws UserError naming the file: absent, damaged, not text, a line of more than `LINE_BYTES`
 */
export async function* readLines(file: string): AsyncGenerator<TextLine> {
  const raw: Readable = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 1 << 18 });
  const bytesRead = () => (raw instanceof ReadStream ? raw.bytesRead : 0);
  const place = lineOf(file);
  let line = 0;
  let rest: Buffer[] = [];
  let restBytes = 0;
  let end: number | undefined;
  try {
    for await (const chunk of unpacked(raw, place)) {
      const part = line === 0 && end === undefined ? Buffer.from(withoutMark(chunk)) : chunk;
      // Decided once, by the beginning.
      end ??= part.includes(LINE_FEED) || !part.includes(CARRIAGE_RETURN) ? LINE_FEED : CARRIAGE_RETURN;
      const whole = part.lastIndexOf(end) + 1;
      if (whole > 0) {
        const block = rest.length === 0 ? part.subarray(0, whole) : Buffer.concat([...rest, part.subarray(0, whole)]);
        const read = bytesRead();
        for (const text of linesOf(block, end)) yield new TextLine(++line, read, refusal(text, place, line));
        [rest, restBytes] = [[], 0];
      }
      if (whole < part.length) rest.push(part.subarray(whole));
      restBytes += part.length - whole;
      if (restBytes > LINE_BYTES)
        throw new UserError(`${lineOf(file, line + 1)}: a line of more than ${LINE_BYTES / 2 ** 20} MB`, {
          hint: 'One record a line was expected; is it the right file?',
        });
    }
    if (restBytes > 0)
      for (const text of linesOf(Buffer.concat([...rest, Buffer.of(end!)]), end!))
        yield new TextLine(++line, bytesRead(), refusal(text, place, line));
  } catch (error) {
    throw fileError(error, place, 'read');
  } finally {
    raw.destroy();
  }
}

/** The lines of bytes that end with a line's end: decoded at once, and one by one where something is not UTF-8. */
function* linesOf(block: Buffer, end: number): Generator<string | BadByte> {
  const trimmed = (text: string) => (text.endsWith('\r') ? text.slice(0, -1) : text);
  const texts = decodeUtf8(block.subarray(0, -1));
  if (typeof texts === 'string') {
    // Not node:readline: it splits at U+2028 too, which may stand inside a JSON string.
    for (const text of texts.split(String.fromCharCode(end))) yield trimmed(text);
    return;
  }
  for (let from = 0; from < block.length; ) {
    const to = block.indexOf(end, from);
    const text = decodeUtf8(block.subarray(from, to));
    yield typeof text === 'string' ? trimmed(text) : text;
    from = to + 1;
  }
}

function refusal(text: string | BadByte, place: string, line: number): string | UserError {
  return typeof text === 'string' ? text : notUtf8(`${place}:${line}`, text);
}

/** file or file:line for messages. */
function lineOf(file: string, line?: number): string {
  return `${file === '-' ? 'standard input' : file}${line === undefined ? '' : `:${line}`}`;
}

/** The value of one line of JSONL. `place` (file:line) is for the error. */
export function parseJsonLine(text: string, place: string): unknown {
  // The two forms that are taken for JSONL most often: a list of all records, and records over many lines.
  const open = /^\s*([[{])\s*$/.exec(text)?.[1];
  if (open !== undefined)
    throw new UserError(
      `${place}: not valid JSONL: a ${open === '[' ? 'list' : 'record'} over many lines, one object a line was expected`,
      {
        hint: oneALine(open === '['),
      },
    );
  const value = parseJson(text, place);
  if (Array.isArray(value))
    throw new UserError(`${place}: expected a JSON object, found ${shown(value)}`, { hint: oneALine(true) });
  return value;
}

function oneALine(isList: boolean): string {
  return `Convert it, for example with: jq -c '${isList ? '.[]' : '.'}' OLD > NEW`;
}

/**
 * Refuses symbolic links in a folder and those below it: what is cut, deleted or written there would be somewhere else.
 * The folder itself may be reached by one.
 * @throws UserError naming the first
 */
export async function refuseLinks(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw fileError(error, folder, 'read');
  });
  const found = entries.find((entry) => entry.isSymbolicLink());
  if (found !== undefined)
    throw new UserError(`${path.join(found.parentPath, found.name)}: is a symbolic link, and leads out of ${folder}`, {
      hint: 'Put the file or folder itself in its place; what is written and deleted here must be here.',
    });
}

/** SHA-256 of texts or bytes, in hex. */
export function sha256(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** SHA-256 of a file's bytes, in hex. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  // One buffer for all of it: a stream's buffers, one for each part, are garbage to be collected (docs/log.md).
  const part = Buffer.allocUnsafe(2 ** 18);
  let opened: FileHandle | undefined;
  try {
    opened = await open(file);
    for (;;) {
      const { bytesRead } = await opened.read(part, 0, part.length);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(part.subarray(0, bytesRead));
    }
  } catch (error) {
    throw fileError(error, file, 'read');
  } finally {
    await opened?.close();
  }
}
