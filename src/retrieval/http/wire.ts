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
import { splitContents } from '../corpus.ts';
import type { Hit, Passage } from '../retriever.ts';

export interface RetrieveLimits {
  /** Passages for each query when the request names none or 0. */
  readonly defaultPassages: number;
  readonly maxPassages: number;
  readonly maxQueries: number;
  /** Characters of one query. */
  readonly maxQueryLength: number;
}

export interface RetrieveRequest {
  readonly queries: readonly string[];
  readonly topk: number;
  readonly scores: boolean;
}

/** @returns the request, or the reason why it is none, naming the field */
export function parseRequest(body: unknown, limits: RetrieveLimits): RetrieveRequest | { readonly reason: string } {
  const { maxPassages, maxQueries, maxQueryLength } = limits;
  const parsed = z
    .object({
      queries: z
        .array(z.string().max(maxQueryLength, `expected at most ${maxQueryLength} characters`))
        .max(maxQueries, `expected at most ${maxQueries} queries`),
      topk: z.int().min(0).max(maxPassages, `expected at most ${maxPassages}`).nullish(),
      return_scores: z.boolean().nullish(),
    })
    .safeParse(body);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    return { reason: `${path.length === 0 ? 'body' : path.join('.')}: ${message}` };
  }
  const { queries, topk, return_scores: scores } = parsed.data;
  return { queries, topk: topk || limits.defaultPassages, scores: scores ?? false };
}

/** The answer's JSON. */
export function responseText(results: readonly (readonly Hit[])[], scores: boolean): string {
  const entry = ({ passage, score }: Hit) =>
    scores ? `{"document":${documentText(passage)},"score":${JSON.stringify(score)}}` : documentText(passage);
  return `{"result":[${results.map((hits) => `[${hits.map(entry).join()}]`).join()}]}`;
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

function toPassage({ id, _id, title, text, contents }: z.infer<typeof document>): Passage | null {
  const split = text == null && contents != null ? splitContents(contents) : { title: title ?? '', text: text ?? '' };
  if (split.text.trim() === '') return null;
  return { id: id ?? _id ?? sha256(split.title, '\n', split.text).slice(0, 16), ...split };
}
