/** Corpus files: JSONL, plain or gzip, one passage a line. */
import { createHash } from 'node:crypto';
import { UserError } from '../base/errors.ts';
import { readJsonLines } from '../base/files.ts';
import type { Passage } from './retriever.ts';

const FORMS = 'Expected {"id", "title", "text"}, {"_id", "title", "text"} (BEIR) or {"id", "contents"} (Search-R1).';

/**
 * The passages of all files, in order. A line is one of
 * `{id, title?, text}` · BEIR's `{_id, title?, text}` · Search-R1's `{id, contents}`, contents being the quoted title, a newline, and the text.
 *
 * @throws UserError naming file and line: malformed line, missing or repeated id, a passage without text; naming the files: no passage at all.
 */
export async function* readCorpus(files: readonly string[]): AsyncGenerator<Passage> {
  const ids = new Set<string>();
  for (const file of files) {
    for await (const { line, value } of readJsonLines(file)) {
      const passage = parsePassage(value, `${file}:${line}`);
      if (ids.has(passage.id))
        throw new UserError(`${file}:${line}: the id ${JSON.stringify(passage.id)} occurs a second time`, {
          hint: 'Every passage of a corpus needs an id of its own.',
        });
      ids.add(passage.id);
      yield passage;
    }
  }
  if (ids.size === 0)
    throw new UserError(`${files.join(', ') || 'corpus'}: no passages`, { hint: `One passage a line. ${FORMS}` });
}

/** All passages of `readCorpus` in memory. */
export async function loadCorpus(files: readonly string[]): Promise<Passage[]> {
  const passages: Passage[] = [];
  for await (const passage of readCorpus(files)) passages.push(passage);
  return passages;
}

/** SHA-256, in hex, over one line of JSON `[id,title,text]` for each passage in order: the same for every file form. */
export function corpusHash(passages: Iterable<Passage>): string {
  const hash = createHash('sha256');
  for (const { id, title, text } of passages) hash.update(`${JSON.stringify([id, title, text])}\n`);
  return hash.digest('hex');
}

function parsePassage(value: unknown, place: string): Passage {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UserError(`${place}: expected a JSON object, found ${JSON.stringify(value).slice(0, 60)}`, {
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
  if (typeof id === 'string' && id !== '') return id;
  if (Number.isSafeInteger(id)) return String(id);
  throw new UserError(`${place}: id: expected a non-empty string, found ${JSON.stringify(id) ?? 'nothing'}`, {
    hint: FORMS,
  });
}

function stringField(record: Record<string, unknown>, field: string, place: string): string {
  const value = record[field];
  if (typeof value === 'string') return value;
  const found = value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 60);
  throw new UserError(`${place}: ${field}: expected a string, found ${found}`, { hint: FORMS });
}

/** The first line is the title, in quotation marks or not; contents of a single line are text without a title. */
function splitContents(contents: string): { title: string; text: string } {
  const end = contents.indexOf('\n');
  if (end < 0) return { title: '', text: contents };
  const firstLine = contents.slice(0, end).trim();
  return { title: firstLine.replace(/^"(.*)"$/, '$1'), text: contents.slice(end + 1) };
}
