/** An agent behind the Model Context Protocol: a tool that answers, and one that searches what the agent searches. */
import { once } from 'node:events';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { CallToolResult, ServerNotification } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import type { Asked } from '../evaluation/agent.ts';
import { isFailure } from '../rollout/trajectory.ts';
import { packageVersion } from '../runs/config-record.ts';
import { ApiError } from './api-error.ts';
import { citationsOf } from './chat-reply.ts';
import { Busy, type Desk, Late } from './desk.ts';
import type { Protocol } from './serve-agent.ts';

/** Characters of a question or a query, and passages of one search. */
const LONGEST = 10_000;
const MOST_PASSAGES = 50;

const citation = z.object({
  id: z.string(),
  title: z.string(),
  score: z.number(),
  search: z.number(),
  text: z.string().optional(),
});
const passage = z.object({ id: z.string(), title: z.string(), text: z.string(), score: z.number() });

/** What a caller of a tool sends along, as far as it is used here. */
interface Extra {
  readonly signal: AbortSignal;
  readonly _meta?: { readonly progressToken?: string | number | undefined } | undefined;
  sendNotification(notification: ServerNotification): Promise<void>;
}

/**
 * A server for one client; `connect` it to a transport.
 * @param onAnswered told of every question with its texts; only where a user has asked for that
 */
export function mcpServer(desk: Desk, onAnswered?: (asked: Asked) => void): McpServer {
  const { policy, retriever, limits } = desk.agent.about;
  const server = new McpServer({ name: 'search-e1', version: packageVersion() });
  server.registerTool(
    'ask',
    {
      title: 'Answer a question by searching',
      description:
        `Answers a question with the search agent ${policy.name}, which looks things up in ${retriever.passages.toLocaleString('en')} ` +
        `passages, at most ${limits.searches} times. The answer is short; the passages that the agent read come with it.`,
      inputSchema: {
        question: z.string().trim().min(1).max(LONGEST).describe('One question that holds all it needs to know'),
        temperature: z.number().min(0).max(2).optional().describe('0 = greedy, the default'),
        return_passages: z.boolean().optional().describe('Whether citations hold the texts of the passages'),
      },
      outputSchema: {
        answer: z.string().nullable().describe('Null when the agent found none'),
        citations: z.array(citation),
        searches: z.array(z.string()).describe('The queries, in order'),
        stop: z.string().describe('How the work ended'),
      },
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    ({ question, temperature, return_passages = false }, extra) =>
      orError(async () => {
        const asked = await desk.ask(question, { signal: extra.signal, temperature, onEvent: progressOf(extra) });
        onAnswered?.(asked);
        if (isFailure(asked.stop)) throw new UserError(failureOf(asked));
        const { answer, stop } = asked;
        const found = {
          answer,
          citations: citationsOf(asked, return_passages),
          searches: asked.searches.map(({ query }) => query),
          stop,
        };
        return {
          content: [{ type: 'text', text: answer ?? `No answer was found (${stop}).` }],
          structuredContent: found,
        };
      }),
  );
  server.registerTool(
    'search',
    {
      title: 'Search passages',
      description: `The passages that fit a query best, of ${retriever.passages.toLocaleString('en')} (${retriever.kind}).`,
      inputSchema: {
        query: z.string().trim().min(1).max(LONGEST),
        k: z.number().int().min(1).max(MOST_PASSAGES).default(limits.passages).describe('How many'),
      },
      outputSchema: { passages: z.array(passage) },
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    ({ query, k }, { signal }) =>
      orError(async () => {
        const passages = (await desk.search(query, k, signal)).map(({ passage: { id, title, text }, score }) => ({
          id,
          title,
          text,
          score,
        }));
        const text = passages.map(({ title, text: words }, i) => `${i + 1}. ${title}\n${words}`).join('\n\n');
        return { content: [{ type: 'text', text: text || 'Nothing was found.' }], structuredContent: { passages } };
      }),
  );
  return server;
}

/** The protocol by streamable HTTP at /mcp, without sessions: every request stands for itself. */
export function mcpProtocol(onAnswered?: (asked: Asked) => void): Protocol {
  return (path, { request, response, desk, signal, json }) => {
    if (path !== '/mcp') return undefined;
    // Without sessions there is nothing to be listened to (GET) or to be ended (DELETE).
    if (request.method !== 'POST') throw new ApiError(405, `${path}: expected POST`);
    return (async () => {
      const body = await json();
      const server = mcpServer(desk, onAnswered);
      const transport = new StreamableHTTPServerTransport({});
      const leave = () => void server.close();
      signal.addEventListener('abort', leave, { once: true });
      try {
        // The SDK's own types do not hold under exactOptionalPropertyTypes.
        await server.connect(transport as Parameters<typeof server.connect>[0]);
        await transport.handleRequest(request, response, body);
        if (!response.writableFinished && !response.destroyed) await once(response, 'close');
      } finally {
        signal.removeEventListener('abort', leave);
        await server.close();
      }
    })();
  };
}

/** A tool tells its caller what went wrong as its result. */
async function orError(work: () => Promise<CallToolResult>): Promise<CallToolResult> {
  try {
    return await work();
  } catch (error) {
    const told =
      error instanceof Busy
        ? `${error.message} (in ${error.retryAfter} s)`
        : error instanceof Late || error instanceof UserError
          ? error.message
          : 'the server failed';
    return { isError: true, content: [{ type: 'text', text: told }] };
  }
}

/** The words of a failed search or model may name addresses that are not the caller's to know. */
function failureOf({ stop, failure }: Asked): string {
  return stop === 'prompt-too-long' ? (failure ?? stop) : `no answer: ${stop}`;
}

/** Tells a caller that wants to know of each search. */
function progressOf({ _meta, sendNotification }: Extra) {
  const progressToken = _meta?.progressToken;
  if (progressToken === undefined) return undefined;
  let progress = 0;
  return (event: { readonly kind: string; readonly query?: string }) => {
    if (event.kind !== 'search') return;
    progress += 1;
    const params = { progressToken, progress, message: `Search: ${event.query ?? ''}` };
    // Whoever has left is not told.
    sendNotification({ method: 'notifications/progress', params }).catch(() => {});
  };
}
