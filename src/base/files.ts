/** Files as the house keeps them: written whole or not at all, read as streams, errors that name file and line. */
import { createHash } from 'node:crypto';
import { createReadStream, ReadStream } from 'node:fs';
import { copyFile, link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { hasCode, messageOf, UserError } from './errors.ts';

/** Turns a system error into one that says what to do; anything else passes through. */
export function fileError(error: unknown, file: string, doing: 'read' | 'write'): Error {
  if (hasCode(error, 'ENOENT')) return new UserError(`${file}: no such file or directory`, { cause: error });
  if (hasCode(error, 'EISDIR')) return new UserError(`${file}: is a directory, a file was expected`, { cause: error });
  if (hasCode(error, 'ENOTDIR', 'EEXIST'))
    return new UserError(`${file}: a part of this path is not a directory`, { cause: error });
  if (hasCode(error, 'EACCES', 'EPERM', 'EROFS'))
    return new UserError(`${file}: cannot ${doing} (${messageOf(error)})`, {
      hint: 'Check the permissions or choose another place.',
      cause: error,
    });
  if (hasCode(error, 'ENOSPC', 'EDQUOT'))
    return new UserError(`${file}: the disk is full`, {
      hint: 'Free some space.',
      continues: true,
      cause: error,
    });
  if (hasCode(error, 'EMFILE', 'ENFILE'))
    return new UserError(`${file}: cannot ${doing}, too many files are open`, {
      hint: 'Raise the limit of open files (ulimit -n).',
      continues: true,
      cause: error,
    });
  return error instanceof Error ? error : new Error(String(error));
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
export async function writeFileAtomic(file: string, data: string | Uint8Array | Iterable<Uint8Array>): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await makeFolder(path.dirname(file));
    const handle = await open(temporary, 'w');
    try {
      if (typeof data === 'string' || data instanceof Uint8Array) await handle.writeFile(data);
      else for (const part of data) await handle.writeFile(part);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await syncFolder(path.dirname(file));
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

/** Reads and parses a JSON file. */
export async function readJson(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw fileError(error, file, 'read');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError(`${file}: not valid JSON (${messageOf(error)})`, { cause: error });
  }
}

/** One line of a JSONL file: its number (from 1) and its value. */
export interface JsonLine {
  readonly line: number;
  readonly value: unknown;
}

/** Reads JSONL, plain or gzip (by the name's ending .gz), as a stream; blank lines are passed over. "-" is standard input. */
export async function* readJsonLines(file: string): AsyncGenerator<JsonLine> {
  for await (const { line, text } of readLines(file))
    if (text.trim() !== '') yield { line, value: parseJsonLine(text, `${file}:${line}`) };
}

/** One line of a text file: its number (from 1), its text without the line's end, and how many of the file's bytes have been read. */
export interface TextLine {
  readonly line: number;
  readonly text: string;
  readonly read: number;
}

/** Reads the lines of a text file, plain or gzip (by the name's ending .gz), as a stream. "-" is standard input. */
export async function* readLines(file: string): AsyncGenerator<TextLine> {
  const raw: Readable = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 1 << 18 });
  const input: Readable = file.endsWith('.gz') ? raw.pipe(createGunzip({ chunkSize: 1 << 18 })) : raw;
  // pipe() does not forward errors: without this a missing .gz file would hang.
  if (input !== raw) raw.on('error', (error) => input.destroy(error));
  const bytesRead = () => (raw instanceof ReadStream ? raw.bytesRead : 0);
  let line = 0;
  let rest = '';
  try {
    // Not node:readline: it splits at U+2028 too, which may stand inside a JSON string.
    for await (const part of input.setEncoding('utf8')) {
      if (!part.includes('\n')) {
        rest += part;
        continue;
      }
      const lines = (rest + part).split('\n');
      rest = lines.pop()!;
      const read = bytesRead();
      for (const text of lines) yield { line: ++line, text: text.endsWith('\r') ? text.slice(0, -1) : text, read };
    }
    if (rest !== '') yield { line: ++line, text: rest, read: bytesRead() };
  } catch (error) {
    throw brokenInput(error, file);
  } finally {
    raw.destroy();
  }
}

/** The value of one line of JSON. `place` (file:line) is for the error. */
export function parseJsonLine(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError(`${place}: not valid JSON (${messageOf(error)})`, { cause: error });
  }
}

function brokenInput(error: unknown, file: string): Error {
  if (error instanceof Error && 'code' in error && String(error.code).startsWith('Z_'))
    return new UserError(`${file}: damaged gzip data (${error.message})`, {
      hint: 'Fetch or compress the file again.',
      cause: error,
    });
  return fileError(error, file, 'read');
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
  try {
    for await (const part of createReadStream(file)) hash.update(part);
  } catch (error) {
    throw fileError(error, file, 'read');
  }
  return hash.digest('hex');
}
