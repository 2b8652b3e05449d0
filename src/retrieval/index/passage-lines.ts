/** Reads passages back from the lines that passage-writer.ts writes, a buffer at a time. */
import { closeSync, openSync, readSync } from 'node:fs';
import { fileError } from '../../base/files.ts';
import type { Passage } from '../retriever.ts';

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
      if (end > 0) yield parseLines(buffer.toString('utf8', 0, end));
      buffer.copyWithin(0, end, filled);
      filled -= end;
      // A line that is longer than the buffer.
      if (filled === buffer.length) buffer = Buffer.concat([buffer], 2 * buffer.length);
    }
  } finally {
    closeSync(fd);
  }
}

function parseLines(lines: string): Passage[] {
  return lines
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      const [id, title, text] = JSON.parse(line) as [string, string, string];
      return { id, title, text };
    });
}
