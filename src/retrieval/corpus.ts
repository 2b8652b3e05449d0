/** Corpus files: JSONL, plain or gzip, one passage a line, or Parquet, one passage a row. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { UserError } from '../base/errors.ts';
import { parseJsonLine, readLines } from '../base/files.ts';
import { notUtf8, shown } from '../base/text.ts';
import { IdSet } from './id-set.ts';
import { NotText, OtherValue, readParquetRows } from './parquet-rows.ts';
import type { Passage } from './retriever.ts';

const FORMS = 'Expected {"id", "title", "text"}, {"_id", "title", "text"} (BEIR) or {"id", "contents"} (Search-R1).';
const STRINGS = 'Write the column as strings (UTF-8), not as bytes of another encoding.';
const FIELDS = ['id', '_id', 'title', 'text', 'contents'];

export interface ReadCorpusOptions {
  /** Takes the error of each malformed line, which is then passed over; without it the first one ends the reading. */
  readonly onBad?: (error: UserError) => void;
  /** Told of each passage that has neither title nor text: it can never be found. */
  readonly onBlank?: () => void;
  /** Told how many bytes of the files have been taken in so far. */
  readonly onRead?: (bytes: number) => void;
}

/**
 * The passages of all files, in order. A line, or a row of Parquet by its columns, is one of
 * `{id, title?, text}` · BEIR's `{_id, title?, text}` · Search-R1's `{id, title?, contents}`, contents being the quoted title, a newline, and the text.
 * A passage without a text, even without a title, is one all the same: other files count on its place.
 * Memory: at most 36 bytes a passage for the ids; of Parquet one row group at a time.
 *
 * @throws UserError naming file and line (row): malformed line, missing or repeated id; naming the files: no passage at all.
 */
export async function* readCorpus(
  files: readonly string[],
  { onBad, onBlank, onRead }: ReadCorpusOptions = {},
): AsyncGenerator<Passage> {
  const ids = new IdSet();
  let before = 0;
  for (const file of files) {
    let bytes = 0;
    for await (const { place, read, value } of readEntries(file)) {
      bytes = read;
      onRead?.(before + bytes);
      const passage = attempt(() => parsePassage(value(), place), onBad);
      if (passage === undefined) continue;
      if (!ids.add(passage.id))
        throw new UserError(`${place}: the id ${JSON.stringify(passage.id)} occurs a second time`, {
          hint: 'Every passage of a corpus needs an id of its own.',
        });
      if (searchedText(passage).trim() === '') onBlank?.();
      yield passage;
    }
    before += bytes;
  }
  if (ids.size === 0)
    throw new UserError(`${files.join(', ') || 'corpus'}: no passages`, { hint: `One passage a line. ${FORMS}` });
}

/** One line or row, not yet looked at: where it stands, and its value, which throws a UserError where it is not UTF-8 or not JSON. */
interface Entry {
  readonly place: string;
  /** Bytes of the file read so far. */
  readonly read: number;
  value(): unknown;
}

async function* readEntries(file: string): AsyncGenerator<Entry> {
  if (file.endsWith('.parquet') || (await beginsAsParquet(file)))
    for await (const { row, read, value } of readParquetRows(file, FIELDS))
      yield { place: `${file}: row ${row}`, read, value: () => value };
  else
    for await (const entry of readLines(file)) {
      const place = `${file}:${entry.line}`;
      if (!entry.isBlank) yield { place, read: entry.read, value: () => parseJsonLine(entry.text, place) };
    }
}

/** Parquet by another name. What cannot be opened is for the reader of lines to report. */
async function beginsAsParquet(file: string): Promise<boolean> {
  const handle = file === '-' ? undefined : await open(file).catch(() => undefined);
  try {
    const found = await handle?.read(Buffer.alloc(4), 0, 4, 0);
    return found?.buffer.toString('latin1') === 'PAR1';
  } catch {
    return false;
  } finally {
    await handle?.close();
  }
}

function attempt<T>(work: () => T, onBad: ReadCorpusOptions['onBad']): T | undefined {
  try {
    return work();
  } catch (error) {
    if (onBad === undefined || !(error instanceof UserError)) throw error;
    onBad(error);
    return undefined;
  }
}

/** All passages of `readCorpus` in memory. */
export async function loadCorpus(files: readonly string[]): Promise<Passage[]> {
  const passages: Passage[] = [];
  for await (const passage of readCorpus(files)) passages.push(passage);
  return passages;
}

/** SHA-256, in hex, over the `passageLine` of each passage in order: the same for every file form. */
export function corpusHash(passages: Iterable<Passage>): string {
  const hash = createHash('sha256');
  for (const passage of passages) hash.update(passageLine(passage));
  return hash.digest('hex');
}

/** What of a passage is searched: title and text. */
export function searchedText({ title, text }: Passage): string {
  return `${title}\n${text}`;
}

/** A passage as one line of JSON, `[id,title,text]`, with its newline. */
export function passageLine({ id, title, text }: Passage): string {
  return `${JSON.stringify([id, title, text])}\n`;
}

/** What `passageLine` wrote. @throws UserError naming the place for any other line */
export function parsePassageLine(line: string, place: string): Passage {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {}
  if (Array.isArray(value) && value.length === 3) {
    const [id, title, text] = value as unknown[];
    if (typeof id === 'string' && typeof title === 'string' && typeof text === 'string') return { id, title, text };
  }
  throw new UserError(`${place}: damaged, no passage of an index`, {
    hint: 'Build the index again with `search-e1 index build`.',
  });
}

function parsePassage(value: unknown, place: string): Passage {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UserError(`${place}: expected a JSON object, found ${shown(value)}`, {
      hint: FORMS,
    });
  const record = value as Record<string, unknown>;
  const id = parseId(record.id ?? record._id, place);
  const own = (field: string) => (record[field] == null ? undefined : stringField(record, field, place));
  const [title, text, contents] = [own('title'), own('text'), own('contents')];
  // Nothing is as wrong as a number, also beside a title: the text may stand under another name.
  if (text === undefined && contents === undefined) stringField(record, 'text', place);
  return { id, ...titleAndText({ title, text, contents }) };
}

/** Title and text of a record that may have both, or the contents of Search-R1, or all three; undefined or null = it has none. */
export interface TextFields {
  readonly title?: string | null | undefined;
  readonly text?: string | null | undefined;
  readonly contents?: string | null | undefined;
}

/**
 * A title of its own wins, and so does a text; what is missing of them is taken from the contents. These are the title, in quotation
 * marks or not, a newline, and the text: of contents beside a title the repeated title is left out; contents of one line are text.
 */
export function titleAndText({ title, text, contents }: TextFields): { title: string; text: string } {
  if (contents == null) return { title: title ?? '', text: text ?? '' };
  const end = contents.indexOf('\n');
  const line = end < 0 ? '' : contents.slice(0, end).trim();
  const [first, behind] = [line.replace(/^"(.*)"$/, '$1'), contents.slice(end + 1)];
  // Without a title of its own the contents' first line is one, but beside a text only where that text follows it.
  if (!title) return text == null || text === behind ? { title: first, text: behind } : { title: '', text };
  const repeated = [first, line].includes(title.trim());
  return { title, text: text ?? (repeated ? behind : contents) };
}

/** Ids are strings; whole numbers, which some corpora have, are read as their decimal form. */
function parseId(id: unknown, place: string): string {
  if (id instanceof NotText) throw notUtf8(`${place}: id`, id.bad, STRINGS);
  if (typeof id === 'string' && id !== '') return id;
  if (Number.isSafeInteger(id) || typeof id === 'bigint') return String(id);
  throw new UserError(`${place}: id: expected a non-empty string, found ${found(id)}`, {
    hint: FORMS,
  });
}

function stringField(record: Record<string, unknown>, field: string, place: string): string {
  const value = record[field];
  if (typeof value === 'string') return value;
  if (value instanceof NotText) throw notUtf8(`${place}: ${field}`, value.bad, STRINGS);
  throw new UserError(`${place}: ${field}: expected a string, found ${found(value)}`, { hint: FORMS });
}

/** A wrong value for a message. */
function found(value: unknown): string {
  return value instanceof OtherValue ? value.shown : shown(value);
}
