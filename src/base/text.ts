/**
 * Text that comes in, read in one way wherever it comes from: files, standard input, requests, Parquet's strings.
 *
 * Bytes that are not UTF-8 are refused, never replaced; one byte order mark at the start is dropped; JSON is bounded in depth
 * and holds no half characters, which no tokenizer and no other program could take. Files are read by files.ts.
 */
import { messageOf, UserError } from './errors.ts';
import { beyondBounds } from './json-bounds.ts';

/** Deepest nesting of JSON that is read; the deepest of our own files has 9, and other readers (Rust's serde) stop at 128 too. */
export const JSON_DEPTH = 128;

/** Longer JSON is looked through before it is parsed: what it becomes in memory may be many times as large. */
const LONG_JSON = 2 ** 16;
/** Values of one text, about: the largest tokenizers have half a million, the benchmarks' own files two million. */
const JSON_VALUES = 4_000_000;

const strict = () => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const wholeText = strict();
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf] as const;

/** Where bytes stop being UTF-8: the offset of the first byte of the first sequence that is none, and that byte. */
export interface BadByte {
  readonly offset: number;
  readonly byte: number;
}

/** The text of UTF-8 bytes, nothing dropped; or where they are none. */
export function decodeUtf8(bytes: Uint8Array): string | BadByte {
  try {
    return wholeText.decode(bytes);
  } catch {
    const offset = firstBadOffset(bytes);
    return { offset, byte: bytes[offset]! };
  }
}

/** Bytes without a byte order mark at their start. */
export function withoutMark(bytes: Uint8Array): Uint8Array {
  return BYTE_ORDER_MARK.every((byte, i) => bytes[i] === byte) ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
}

/**
 * The text of UTF-8 bytes without one leading byte order mark.
 * @param place a file's path, or what else is being read, for the error
 * @throws UserError naming the place, the line and the byte
 */
export function decodeText(bytes: Uint8Array, place: string): string {
  const body = withoutMark(bytes);
  const text = decodeUtf8(body);
  if (typeof text === 'string') return text;
  const before = body.subarray(0, text.offset);
  const line = before.reduce((count, byte) => (byte === 0x0a ? count + 1 : count), 1);
  throw notUtf8(`${place}:${line}`, { ...text, offset: text.offset - (before.lastIndexOf(0x0a) + 1) });
}

/** The refusal of bytes that are no text. `offset` counts from the beginning of what `place` names. */
export function notUtf8(
  place: string,
  { offset, byte }: BadByte,
  hint = 'Convert it, for example with: iconv -f latin1 -t utf8 OLD > NEW',
): UserError {
  const hex = byte.toString(16).toUpperCase().padStart(2, '0');
  return new UserError(`${place}: not UTF-8: byte ${hex} at position ${offset + 1}`, { hint });
}

/** The longest beginning that is text, or can become one, is found by halving; a sequence that was begun there belongs to what is bad. */
function firstBadOffset(bytes: Uint8Array): number {
  const begins = (end: number, unfinished = true) => {
    try {
      strict().decode(bytes.subarray(0, end), { stream: unfinished });
      return true;
    } catch {
      return false;
    }
  };
  let [good, bad] = [0, bytes.length + 1];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (begins(middle)) good = middle;
    else bad = middle;
  }
  while (good > 0 && !begins(good, false)) good--;
  return good;
}

/**
 * The value of a JSON text.
 * @param place what is being read (a file, file:line, "body"), for the error
 * @throws UserError naming the place: not JSON, nested deeper than `JSON_DEPTH`, a string that holds half a character
 */
export function parseJson(text: string, place: string): unknown {
  if (text.length > LONG_JSON) {
    const reason = beyondBounds(text, { depth: JSON_DEPTH, values: JSON_VALUES });
    if (reason !== undefined)
      throw new UserError(`${place}: not readable: JSON ${reason}`, {
        hint: 'No file of ours is; is it the right one?',
      });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The parser's words quote the culprit as it is; it may be invisible, or steer a terminal.
    throw new UserError(`${place}: not valid JSON (${visible(messageOf(error))})`, { cause: error });
  }
  // Only an escape can bring half a character into a text that was UTF-8, and only many brackets are deep.
  const halves = /\\u[dD][89abAB]|\\u[dD][c-fC-F]/.test(text);
  if (halves || text.length > 2 * JSON_DEPTH) inspectJson(value, place, halves);
  return value;
}

function inspectJson(value: unknown, place: string, halves: boolean, path: readonly string[] = []): void {
  if (typeof value === 'string') {
    if (halves && !value.isWellFormed())
      throw new UserError(
        `${place}: ${path.join('.') || 'text'}: holds half a character (a lone surrogate, ${loneSurrogate(value)})`,
        { hint: 'The text was cut in the middle of a character; make the file again, or take that part out.' },
      );
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (path.length === JSON_DEPTH)
    throw new UserError(`${place}: not readable: JSON nested deeper than ${JSON_DEPTH} levels`, {
      hint: 'No file of ours is; is it the right one?',
    });
  for (const [key, inner] of Object.entries(value)) {
    if (halves) inspectJson(key, place, halves, [...path, 'key']);
    if (typeof inner === 'object' || halves) inspectJson(inner, place, halves, [...path, key]);
  }
}

function loneSurrogate(text: string): string {
  const half = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.exec(text)![0];
  return `\\u${half.charCodeAt(0).toString(16)}`;
}

/**
 * What a file is that is not plain text, by its first bytes (16 will do), as "a Parquet file"; undefined where it may be text.
 * gzip and zstd are told by their names, since they are unpacked and read.
 */
export function formOf(
  head: Uint8Array,
): 'gzip' | 'zstd' | { readonly named: string; readonly hint: string } | undefined {
  const begins = (...bytes: number[]) => bytes.every((byte, i) => head[i] === byte);
  const spells = (word: string) => begins(...Buffer.from(word, 'latin1'));
  const unpack = 'Unpack it, and give what is inside.';
  if (begins(0x1f, 0x8b)) return 'gzip';
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (spells('PAR1')) return { named: 'a Parquet file', hint: 'Corpora may be Parquet; everything else is text.' };
  if (spells('PK\x03\x04')) return { named: 'a zip archive', hint: unpack };
  if (spells('BZh')) return { named: 'compressed by bzip2', hint: unpack };
  if (begins(0xfd, 0x37, 0x7a, 0x58, 0x5a)) return { named: 'compressed by xz', hint: unpack };
  if (spells('ARROW1')) return { named: 'an Arrow file', hint: 'Write it as JSONL or Parquet.' };
  if (spells('SQLite format 3')) return { named: 'an SQLite database', hint: 'Write its rows as JSONL.' };
  if (spells('version https://'))
    return { named: 'a pointer of Git LFS, not the file itself', hint: 'Fetch the file: git lfs pull' };
  if (/^(\xef\xbb\xbf)?\s*<(!doctype|html)/i.test(Buffer.from(head).toString('latin1')))
    return { named: 'a web page', hint: 'A download that was answered by a page: fetch the file itself.' };
  // Text of two bytes a letter has a mark, or a zero beside its first letter.
  const wide = begins(0xff, 0xfe) || begins(0xfe, 0xff) || (head.length > 1 && (head[0] === 0) !== (head[1] === 0));
  if (wide)
    return { named: 'UTF-16, not UTF-8', hint: 'Convert it, for example with: iconv -f utf-16 -t utf8 OLD > NEW' };
  return undefined;
}

/** The refusal of a file that is not text. */
export function otherForm(
  place: string,
  { named, hint }: { readonly named: string; readonly hint: string },
): UserError {
  return new UserError(`${place}: is ${named}; a text file was expected`, { hint });
}

/** A value of any kind for a message, as JSON would write it if it could, at most about `length` characters. */
export function shown(value: unknown, length = 60): string {
  const text = written(value, length);
  return text.length > length ? `${[...text].slice(0, length - 1).join('')}…` : text;
}

/** Written no further than what will be shown: values may be deep, large, or refer to themselves. */
function written(value: unknown, room: number): string {
  if (room <= 0) return '…';
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return visible(JSON.stringify(value.slice(0, room).toWellFormed()));
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid date' : value.toISOString();
  if (ArrayBuffer.isView(value) && !Array.isArray(value)) return `${value.byteLength} bytes`;
  if (typeof value !== 'object' || value === null) return String(value);
  const isList = Array.isArray(value);
  const parts: string[] = [];
  let rest = room;
  for (const [key, inner] of isList ? value.entries() : Object.entries(value)) {
    if (rest <= 0) break;
    const part = isList
      ? written(inner, rest - 1)
      : `${JSON.stringify(key)}:${written(inner, rest - String(key).length - 3)}`;
    parts.push(part);
    rest -= part.length + 1;
  }
  return isList ? `[${parts.join()}]` : `{${parts.join()}}`;
}

/** Characters that steer a terminal, or hide in a text: controls, directions of writing, marks without width. */
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/** With hidden characters written out, as "U+FEFF". */
export function visible(text: string): string {
  return text.replace(HIDDEN, (hidden) => `U+${hidden.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`);
}

/**
 * Text that this program did not write, for a terminal: without control characters, escape sequences and reordering marks. Tabs and line breaks stay.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '');
}
