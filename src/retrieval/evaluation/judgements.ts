/** Queries and the passages known to answer them: BEIR's layout, TREC's, or question files with `gold_ids`. */
import { z } from 'zod';
import { UserError } from '../../base/errors.ts';
import { readJsonLines } from '../../base/files.ts';
import type { Grades } from './measures.ts';
import { readQrels } from './qrels.ts';

export interface JudgedQuery {
  readonly id: string;
  readonly text: string;
  /** Not empty. */
  readonly grades: Grades;
}

/** Blanks around ids are taken for slips. */
const id = z.union([z.string().trim().min(1), z.int().transform(String)]);
/** BEIR's `{_id, text}` or `{id, question}`; further fields are passed over. */
const queryLine = z.object({
  id: id.nullish(),
  _id: id.nullish(),
  text: z.string().nullish(),
  question: z.string().nullish(),
  gold_ids: z.array(id).nullish(),
});

const HINT = 'Expected {"_id", "text"} (BEIR) or {"id", "question", "gold_ids"?}, one a line.';

export interface Judged {
  /** The queries that have at least one relevant passage, in the file's order. */
  readonly judged: readonly JudgedQuery[];
  /** Queries without one. */
  readonly unjudged: number;
  /** Queries that the judgements name, and the file of queries has not. */
  readonly unknownQueries: number;
}

/**
 * @param queries JSONL, plain or gzip; @param qrels a file of judgements (qrels.ts), or undefined: the queries' `gold_ids`
 * @throws UserError naming file, line and field; and when no query has a relevant passage
 */
export async function readJudgedQueries(queries: string, qrels: string | undefined): Promise<Judged> {
  const grades = qrels === undefined ? undefined : await readQrels(qrels);
  const judged: JudgedQuery[] = [];
  const seen = new Set<string>();
  for await (const { line, value } of readJsonLines(queries)) {
    const place = `${queries}:${line}`;
    const query = parseQuery(value, place);
    if (seen.has(query.id)) throw new UserError(`${place}: the id ${JSON.stringify(query.id)} occurs a second time`);
    seen.add(query.id);
    const own = grades ? grades.get(query.id) : new Map(query.gold.map((passage) => [passage, 1]));
    if (own !== undefined && own.size > 0) judged.push({ id: query.id, text: query.text, grades: own });
  }
  if (judged.length === 0)
    throw new UserError(
      `${queries}: none of ${seen.size} queries has a relevant passage in ${qrels ?? 'its gold_ids'}`,
      {
        hint:
          qrels === undefined ? 'Give --qrels, or questions with gold_ids.' : 'Do queries and qrels belong together?',
      },
    );
  const unknownQueries = grades ? [...grades.keys()].filter((id) => !seen.has(id)).length : 0;
  return { judged, unjudged: seen.size - judged.length, unknownQueries };
}

function parseQuery(value: unknown, place: string): { id: string; text: string; gold: readonly string[] } {
  const parsed = queryLine.safeParse(value);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw new UserError(`${place}: ${path.join('.') || 'line'}: ${message}`, { hint: HINT });
  }
  const id = parsed.data._id ?? parsed.data.id;
  const text = parsed.data.text ?? parsed.data.question;
  if (id == null) throw new UserError(`${place}: _id: expected a non-empty string, found nothing`, { hint: HINT });
  if (text == null) throw new UserError(`${place}: text: expected a string, found nothing`, { hint: HINT });
  return { id, text, gold: parsed.data.gold_ids ?? [] };
}
