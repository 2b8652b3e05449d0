/** Corpus files: JSONL, plain or gzip, one passage a line, or Parquet, one passage a row. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { UserError } from '../base/errors.ts';
import { parseJsonLine, readLines } from '../base/files.ts';
import { notUtf8, shown } from '../base/text.ts';
import { IdSet } from './id-set.ts';
import { NotText, readParquetRows } from './parquet-rows.ts';
import type { Passage } from './retriever.ts';

const FORMS = 'Expected {"id", "title", "text"}, {"_id", "title", "text"} (BEIR) or {"id", "contents"} (Search-R1).';
const STRINGS = 'Write the column as strings (UTF-8), not as bytes of another encoding.';
const FIELDS = ['id', '_id', 'title', 'text', 'contents'];

export interface ReadCorpusOptions {
  /** Takes the error of each malformed line, which is then passed over; without it the first one ends the reading. */
  readonly onBad?: (error: UserError) => void;
  /** Told how many bytes of the files have been taken in so far. */
  readonly onRead?: (bytes: number) => void;
}

/**
 * The passages of all files, in order. A line, or a row of Parquet by its columns, is one of
 * `{id, title?, text}` · BEIR's `{_id, title?, text}` · Search-R1's `{id, contents}`, contents being the quoted title, a newline, and the text.
 * Memory: at most 36 bytes a passage for the ids; of Parquet one row group at a time.
 *
 * @throws UserError naming file and line (row): malformed line, missing or repeated id, a passage without text; naming the files: no passage at all.
 */
export async function* readCorpus(
  files: readonly string[],
  { onBad, onRead }: ReadCorpusOptions = {},
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

function parsePassage(value: unknown, place: string): Passage {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UserError(`${place}: expected a JSON object, found ${shown(value)}`, {
      hint: FORMS,
    });
  const record = value as Record<string, unknown>;
  const id = parseId(record.id ?? record._id, place);
  const { title, text } =
    record.text === undefined && record.contents !== undefined
      ? splitContents(stringField(record, 'contents', place))
      : {
          title: record.title == null ? '' : stringField(record, 'title', place),
          text: stringField(record, 'text', place),
        };
  if (text.trim() === '') throw new UserError(`${place}: passage ${JSON.stringify(id)} has no text`, { hint: FORMS });
  return { id, title, text };
}

/** Ids are strings; whole numbers, which some corpora have, are read as their decimal form. */
function parseId(id: unknown, place: string): string {
  if (id instanceof NotText) throw notUtf8(`${place}: id`, id.bad, STRINGS);
  if (typeof id === 'string' && id !== '') return id;
  if (Number.isSafeInteger(id) || typeof id === 'bigint') return String(id);
  throw new UserError(`${place}: id: expected a non-empty string, found ${shown(id)}`, {
    hint: FORMS,
  });
}

function stringField(record: Record<string, unknown>, field: string, place: string): string {
  const value = record[field];
  if (typeof value === 'string') return value;
  if (value instanceof NotText) throw notUtf8(`${place}: ${field}`, value.bad, STRINGS);
  throw new UserError(`${place}: ${field}: expected a string, found ${shown(value)}`, { hint: FORMS });
}

/** The first line is the title, in quotation marks or not; contents of a single line are text without a title. */
export function splitContents(contents: string): { title: string; text: string } {
  const end = contents.indexOf('\n');
  if (end < 0) return { title: '', text: contents };
  const firstLine = contents.slice(0, end).trim();
  return { title: firstLine.replace(/^"(.*)"$/, '$1'), text: contents.slice(end + 1) };
}
