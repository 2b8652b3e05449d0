/** Reads passages back from the lines that passage-writer.ts writes, a buffer at a time. */
import { closeSync, openSync, readSync } from 'node:fs';
import { fileError } from '../../base/files.ts';
import { parsePassageLine } from '../corpus.ts';
import type { Passage } from '../retriever.ts';
import type { PassageTable } from './passage-store.ts';

const BUFFER_BYTES = 1 << 18;
const NEWLINE = 0x0a;

/** The passages of bytes `from` ... `to` − 1, which are whole lines, in batches of a buffer's size; memory: that of the buffer, or of the longest line. */
export function* readPassageLines(file: string, from: number, to: number): Generator<Passage[]> {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    throw fileError(error, file, 'read');
  }
  try {
    let buffer = Buffer.alloc(BUFFER_BYTES);
    let filled = 0;
    for (let at = from; at < to; ) {
      const read = readSync(fd, buffer, filled, Math.min(buffer.length - filled, to - at), at);
      if (read === 0) throw new Error(`${file}: ended before its time`);
      filled += read;
      at += read;
      const end = buffer.subarray(0, filled).lastIndexOf(NEWLINE) + 1;
      if (end > 0) yield parseLines(buffer.toString('utf8', 0, end), file);
      buffer.copyWithin(0, end, filled);
      filled -= end;
      // A line that is longer than the buffer.
      if (filled === buffer.length) buffer = Buffer.concat([buffer], 2 * buffer.length);
    }
  } finally {
    closeSync(fd);
  }
}

/** The ids of all passages, in order. */
export function* passageIds({ file, ends }: PassageTable): Generator<string> {
  for (const batch of readPassageLines(file, 0, ends.at(-1)!)) for (const { id } of batch) yield id;
}

/** Those of `wanted` that are among `ids`, blanks around them aside. */
export function idsAmong(ids: Iterable<string>, wanted: ReadonlySet<string>): Set<string> {
  const found = new Set<string>();
  for (const id of ids) if (wanted.has(id.trim())) found.add(id.trim());
  return found;
}

function parseLines(lines: string, file: string): Passage[] {
  return lines
    .slice(0, -1)
    .split('\n')
    .map((line) => parsePassageLine(line, file));
}
