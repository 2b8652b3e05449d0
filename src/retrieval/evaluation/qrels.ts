/**
 * Judgements: which passage is relevant to which query, and how much. Read are BEIR's TSV of query, passage and grade; TREC's four
 * columns, with an iteration behind the query; either with tabs or blanks, with or without a line of names; and pytrec_eval's
 * JSON, {query: {passage: grade}}.
 */
import { UserError } from '../../base/errors.ts';
import { readLines, readText } from '../../base/files.ts';
import { parseJson, shown } from '../../base/text.ts';

/** Grades above zero by query and passage. A query that only has others is there, with none. */
export type Qrels = ReadonlyMap<string, ReadonlyMap<string, number>>;

const HINT =
  'BEIR keeps it as qrels/test.tsv, with the columns query-id, corpus-id and score; TREC as query, iteration, passage, grade.';
/** Names of the first column: query-id, query_id, Query-ID, qid, topic. */
const HEADER = /^(q(uery)?[-_ ]?id|query|topic)$/i;
/** Whole, or written with a point: 1.0. */
const GRADE = /^[+-]?\d{1,9}(\.0*)?$/;

/** @throws UserError naming file and line: another form, two grades for one pair */
export async function readQrels(file: string): Promise<Qrels> {
  const judgements = new Judgements(file);
  for await (const { line, text } of readLines(file)) {
    if (text.trim() === '') continue;
    if (line === 1 && /^\s*\{/.test(text)) return readJsonQrels(file);
    const fields = (text.includes('\t') ? text.split('\t') : text.trim().split(/\s+/)).map((field) => field.trim());
    if (line === 1 && HEADER.test(fields[0]!)) continue;
    const [query, passage, grade] = fields.length === 4 ? [fields[0], fields[2], fields[3]] : fields;
    if (!query || !passage || fields.length < 3 || fields.length > 4 || !GRADE.test(grade ?? ''))
      throw new UserError(
        `${file}:${line}: expected query, passage and a whole grade in three or four columns, found ${shown(text)}`,
        { hint: HINT },
      );
    judgements.add(query, passage, Number(grade), `line ${line}`);
  }
  return judgements.positive();
}

async function readJsonQrels(file: string): Promise<Qrels> {
  const judgements = new Judgements(file);
  const wrong = (place: string, found: unknown) =>
    new UserError(`${file}: ${place}: expected {query: {passage: grade}}, found ${shown(found)}`, { hint: HINT });
  const isObject = (value: unknown): value is object =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const value = parseJson(await readText(file), file);
  if (!isObject(value)) throw wrong('file', value);
  for (const [query, passages] of Object.entries(value)) {
    if (!isObject(passages)) throw wrong(query, passages);
    for (const [passage, grade] of Object.entries(passages)) {
      if (!Number.isSafeInteger(grade)) throw wrong(`${query}.${passage}`, grade);
      judgements.add(query.trim(), passage.trim(), grade as number, `${query}.${passage}`);
    }
  }
  return judgements.positive();
}

class Judgements {
  readonly #file: string;
  readonly #all = new Map<string, Map<string, { readonly grade: number; readonly place: string }>>();

  constructor(file: string) {
    this.#file = file;
  }

  add(query: string, passage: string, grade: number, place: string): void {
    const own = this.#all.get(query) ?? new Map();
    const before = own.get(passage);
    if (before !== undefined && before.grade !== grade)
      throw new UserError(
        `${this.#file}: query ${JSON.stringify(query)} and passage ${JSON.stringify(passage)} have two grades: ${before.grade} (${before.place}) and ${grade} (${place})`,
        { hint: 'Keep the one that is meant.' },
      );
    this.#all.set(query, own.set(passage, { grade, place }));
  }

  positive(): Qrels {
    return new Map(
      [...this.#all].map(([query, passages]) => [
        query,
        new Map([...passages].filter(([, { grade }]) => grade > 0).map(([passage, { grade }]) => [passage, grade])),
      ]),
    );
  }
}
