/**
 * The wire format that existing trainers speak (Search-R1's retrieval server):
 *
 *   POST /retrieve  {queries: string[], topk?: int, return_scores?: bool}
 *   with scores     {result: [[{document: {id, title, text, contents}, score}, …], …]}
 *   without         {result: [[{id, title, text, contents}, …], …]}
 *
 * `contents` is the title in quotation marks, a newline, and the text.
 */
import { z } from 'zod';
import { sha256 } from '../../base/files.ts';
import { titleAndText } from '../corpus.ts';
import type { Hit, Passage } from '../retriever.ts';

export interface RetrieveLimits {
  /** Passages for each query when the request names none or 0. */
  readonly defaultPassages: number;
  readonly maxPassages: number;
  readonly maxQueries: number;
  /** Queries times passages of one request: what bounds its work and its answer. */
  readonly maxHits: number;
  /** Characters (UTF-16 units) of one query. */
  readonly maxQueryLength: number;
  /** A longer query: the whole request is refused, or this query alone gets an empty list. */
  readonly longQueries: 'refuse' | 'empty';
}

/** Vetted limits; Search-R1's server answers three passages by default. */
export const defaultLimits: RetrieveLimits = {
  defaultPassages: 3,
  maxPassages: 1000,
  maxQueries: 8192,
  maxHits: 100_000,
  maxQueryLength: 10_000,
  longQueries: 'refuse',
};

export interface RetrieveRequest {
  readonly queries: readonly string[];
  /** Indices of the queries that are too long to be searched. */
  readonly tooLong: ReadonlySet<number>;
  readonly topk: number;
  readonly scores: boolean;
}

/** Why a request is none, naming the field: 400, or 413 for one that asks for too much. */
export interface BadRequest {
  readonly status: 400 | 413;
  readonly reason: string;
}

export function parseRequest(body: unknown, limits: RetrieveLimits): RetrieveRequest | BadRequest {
  const { maxPassages, maxQueries, maxHits, maxQueryLength, longQueries } = limits;
  const query =
    longQueries === 'empty'
      ? z.string()
      : z.string().max(maxQueryLength, `expected at most ${maxQueryLength} characters`);
  const parsed = z
    .object({
      queries: z.array(query).max(maxQueries, `expected at most ${maxQueries} queries`),
      topk: z.int().min(0).max(maxPassages, `expected at most ${maxPassages}`).nullish(),
      return_scores: z.boolean().nullish(),
    })
    .safeParse(body);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    return { status: 400, reason: `${path.length === 0 ? 'body' : path.join('.')}: ${message}` };
  }
  const { queries, return_scores: scores } = parsed.data;
  const topk = parsed.data.topk || limits.defaultPassages;
  if (queries.length * topk > maxHits)
    return {
      status: 413,
      reason: `queries x topk: expected at most ${maxHits} passages in one answer, found ${queries.length} x ${topk}; send fewer queries at a time`,
    };
  const tooLong = new Set([...queries.keys()].filter((i) => queries[i]!.length > maxQueryLength));
  return { queries, tooLong, topk, scores: scores ?? false };
}

/** The JSON of an answer is `{"result":[`, one of these for each query, and `]}`. */
export function listText(hits: readonly Hit[], scores: boolean): string {
  const entry = ({ passage, score }: Hit) =>
    scores ? `{"document":${documentText(passage)},"score":${JSON.stringify(score)}}` : documentText(passage);
  return `[${hits.map(entry).join()}]`;
}

/** `contents` repeats title and text: what JSON escapes in them is looked for once. */
function documentText(passage: Passage): string {
  const [id, title, text] = [passage.id, passage.title, passage.text].map((field) =>
    JSON.stringify(field).slice(1, -1),
  );
  return `{"id":"${id}","title":"${title}","text":"${text}","contents":"\\"${title}\\"\\n${text}"}`;
}

const identifier = z.union([z.string(), z.number().transform(String)]).nullish();
const document = z.object({
  id: identifier,
  _id: identifier,
  title: z.string().nullish(),
  text: z.string().nullish(),
  contents: z.string().nullish(),
});
const answer = z.object({
  result: z.array(z.array(z.union([z.object({ document, score: z.number().nullish() }), document]))),
});

/**
 * Reads the answer of any server of this format, ours or another: documents may lack all but `contents` or `text`, and scores
 * (then 0). A passage without an id gets a hash of its content as its id.
 * @returns one list a query, at most k long, or the reason why the answer cannot be used
 */
export function parseResponse(body: unknown, queries: number, k: number): Hit[][] | { readonly reason: string } {
  const parsed = answer.safeParse(body);
  if (!parsed.success)
    return { reason: `expected {"result": [[...]]}: ${z.prettifyError(parsed.error).slice(0, 200)}` };
  const { result } = parsed.data;
  if (result.length !== queries) return { reason: `${queries} queries brought ${result.length} lists` };
  const lists: Hit[][] = [];
  for (const list of result) {
    const hits: Hit[] = [];
    for (const entry of list.slice(0, k)) {
      const [found, score] = 'document' in entry ? [entry.document, entry.score ?? 0] : [entry, 0];
      const passage = toPassage(found);
      if (passage === null) return { reason: 'a document has neither text nor contents' };
      hits.push({ passage, score });
    }
    lists.push(hits);
  }
  return lists;
}

function toPassage({ id, _id, ...fields }: z.infer<typeof document>): Passage | null {
  if (fields.text == null && fields.contents == null) return null;
  const split = titleAndText(fields);
  return { id: id ?? _id ?? sha256(split.title, '\n', split.text).slice(0, 16), ...split };
}
