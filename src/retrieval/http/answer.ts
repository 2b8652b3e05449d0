/** The answer to POST /retrieve: found, written as JSON and sent in parts, so that its size is never in memory as a whole. */
import type { ServerResponse } from 'node:http';
import { setImmediate } from 'node:timers/promises';
import type { Retriever } from '../retriever.ts';
import { Turns } from '../turns.ts';
import type { Pace } from './pace.ts';
import { listText, type RetrieveRequest } from './wire.ts';

/** Bytes that a part is to have, by what a passage took so far; and passages of one part at most. */
const PART_BYTES = 2 << 20;
const PART_HITS = 4096;
const LEAST_BYTES = 512;

/** How many bytes a passage takes in an answer: the largest of late, beginning with two kilobytes. */
export class PassageSizes {
  bytes = 2048;

  see(bytes: number, hits: number): void {
    // Of a list without passages nothing is learnt: a query that finds nothing may be followed by one that finds much.
    if (hits > 0) this.bytes = Math.max(LEAST_BYTES, 0.9 * this.bytes, bytes / hits);
  }
}

export interface AnswerTools {
  readonly retriever: Pick<Retriever, 'search'>;
  readonly pace: Pace;
  readonly sizes: PassageSizes;
  readonly signal: AbortSignal;
}

/** Rejects when the retriever fails, the signal is aborted or the client leaves; `response.headersSent` says whether the answer had begun. */
export async function answer(request: RetrieveRequest, response: ServerResponse, tools: AnswerTools): Promise<void> {
  const { queries, topk } = request;
  let start = 0;
  do {
    const hits = Math.min(PART_HITS, PART_BYTES / tools.sizes.bytes);
    const end = Math.min(queries.length, start + Math.max(1, Math.floor(hits / topk)));
    // A call of its own: while the next part waits for its turn, nothing holds this one.
    await sendPart(request, start, end, response, tools);
    start = end;
    // A part that the system took over at once has not given others a turn.
    if (start < queries.length) await setImmediate();
  } while (start < queries.length);
}

/** Makes and sends the part of the answer that is for the queries start ... end−1. */
async function sendPart(
  request: RetrieveRequest,
  start: number,
  end: number,
  response: ServerResponse,
  tools: AnswerTools,
): Promise<void> {
  const { pace, sizes, signal } = tools;
  const last = end === request.queries.length;
  const bytes = (end - start) * request.topk * sizes.bytes;
  const part = await pace.turn(
    async () => {
      const lists = await listsOf(request, start, end, tools);
      return Buffer.from(`${start === 0 ? '{"result":[' : ','}${lists.join()}${last ? ']}' : ''}`);
    },
    bytes,
    signal,
  );
  if (start === 0) response.setHeader('Content-Type', 'application/json');
  if (start === 0 && last) response.setHeader('Content-Length', part.length);
  await pace.send(response, part, last);
}

/** The JSON of each list of the queries start ... end−1. */
async function listsOf(
  { queries, tooLong, topk, scores }: RetrieveRequest,
  start: number,
  end: number,
  { retriever, sizes, signal }: AnswerTools,
): Promise<string[]> {
  const asked = Array.from({ length: end - start }, (_, i) => start + i).filter((i) => !tooLong.has(i));
  const found = await retriever.search(
    asked.map((i) => queries[i]!),
    topk,
    signal,
  );
  const turn = new Turns(signal);
  const lists = new Array<string>(end - start).fill('[]');
  for (const [n, i] of asked.entries()) {
    await turn.next();
    const list = listText(found[n]!, scores);
    sizes.see(list.length, found[n]!.length);
    lists[i - start] = list;
  }
  return lists;
}
