/**
 * An OpenAI-compatible server for tests and measurements, on loopback: what it says is a function of what it is asked.
 *
 * It streams /v1/chat/completions and /v1/completions as real servers do (stop strings dropped, max_tokens kept, usage in
 * the last event), lists one model, and can misbehave in every way that real servers were seen to. A token is a word with
 * the white space before it.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { ChatMessage } from '../../../policy/text-model.ts';

/** One request, as the script sees it. */
export interface Asked {
  /** Of a chat; empty for a raw prompt. */
  readonly messages: readonly ChatMessage[];
  /** The raw prompt, or the contents of all messages joined by blank lines. */
  readonly prompt: string;
  /** The request's JSON as it came. */
  readonly body: Readonly<Record<string, unknown>>;
  /** How often this very body was asked before: 0 at first, 1 at the first retry. */
  readonly attempt: number;
  readonly authorization: string | undefined;
}

/** What a model writes, or how the server fails. */
export type Reply =
  | string
  /** Thinking that the server keeps apart from the text, in `reasoning_content`. */
  | { readonly reasoning: string; readonly text: string }
  /** Another `finish_reason` than stop or length. */
  | { readonly text: string; readonly finish: string }
  /** Takes the request and never answers. */
  | { readonly fault: 'silence' }
  /** An error status with a JSON reason; Retry-After in seconds. */
  | { readonly fault: 'status'; readonly status: number; readonly retryAfter?: number; readonly message?: string }
  /** The connection breaks behind this text. */
  | { readonly fault: 'cut'; readonly text: string }
  /** The stream ends in good order behind this text, but nothing says that the model had finished. */
  | { readonly fault: 'unfinished'; readonly text: string }
  /** An event behind this text that is no JSON. */
  | { readonly fault: 'malformed'; readonly text: string }
  /** An event behind this text that is JSON of another shape. */
  | { readonly fault: 'shape'; readonly text: string }
  /** An error in the middle of the stream, as JSON. */
  | { readonly fault: 'error-event'; readonly text: string }
  /** Status 200 and a web page. */
  | { readonly fault: 'content-type' }
  /** Events whose list of choices is empty, to the end. */
  | { readonly fault: 'empty-choices' }
  /** A word every so many milliseconds. */
  | { readonly fault: 'drip'; readonly text: string; readonly milliseconds: number };

export type Script = (asked: Asked) => Reply | Promise<Reply>;

export interface ScriptedServerOptions {
  /** The model's name. Default "scripted". */
  readonly model?: string;
  /** Where it says which stop string it met, if at all: vLLM in `stop_reason`, SGLang in `matched_stop`. Default 'stop_reason'. */
  readonly tells?: 'stop_reason' | 'matched_stop' | 'nothing';
  /** Whether it counts tokens. Default true. */
  readonly usage?: boolean;
}

export interface ScriptedServer {
  /** Base URL, e.g. http://127.0.0.1:41234/v1 */
  readonly url: string;
  /** Every completion that was asked for, in order of arrival. */
  readonly asked: readonly Asked[];
  /** The most requests that were open at the same time. */
  readonly mostOpen: number;
  close(): Promise<void>;
}

/** Starts a server on a free port of loopback; it has to be closed. */
export async function scriptedServer(script: Script, options: ScriptedServerOptions = {}): Promise<ScriptedServer> {
  const { model = 'scripted', tells = 'stop_reason', usage = true } = options;
  const asked: Asked[] = [];
  const attempts = new Map<string, number>();
  let [open, mostOpen] = [0, 0];

  const server = createServer((request, response) => {
    open += 1;
    mostOpen = Math.max(mostOpen, open);
    response.on('close', () => {
      open -= 1;
    });
    serve(request, response).catch((error: unknown) => {
      // A client that hung up is its own affair; what the script throws is shown to whoever asked.
      if (!response.headersSent) sendError(response, 500, `the script failed: ${String(error)}`);
      else response.destroy();
    });
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/v1/models') return sendJson(response, 200, { object: 'list', data: [{ id: model }] });
    if (request.method !== 'POST' || !/^\/v1\/(chat\/)?completions$/.test(request.url ?? ''))
      return sendError(response, 404, `no such path: ${request.url}`);
    const text = await bodyOf(request);
    const body = JSON.parse(text) as Record<string, unknown>;
    if (body.model !== model) return sendError(response, 404, `The model \`${String(body.model)}\` does not exist.`);
    if (body.stream !== true) return sendError(response, 400, 'this server streams only');
    const messages = (body.messages ?? []) as ChatMessage[];
    const attempt = attempts.get(text) ?? 0;
    attempts.set(text, attempt + 1);
    const question: Asked = {
      messages,
      prompt: typeof body.prompt === 'string' ? body.prompt : messages.map(({ content }) => content).join('\n\n'),
      body,
      attempt,
      authorization: request.headers.authorization,
    };
    asked.push(question);
    await answer(await script(question), question, response);
  }

  async function answer(reply: Reply, { body, prompt }: Asked, response: ServerResponse): Promise<void> {
    const isChat = 'messages' in body;
    const event = (value: unknown) => response.write(`data: ${JSON.stringify(value)}\n\n`);
    const choice = (text: string, more: object = {}) => ({
      model,
      choices: [{ index: 0, ...(isChat ? { delta: { content: text } } : { text }), finish_reason: null, ...more }],
    });
    const begin = () => response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    const say = async (text: string, milliseconds = 0) => {
      for (const word of words(text)) {
        if (milliseconds > 0) await wait(milliseconds);
        if (response.destroyed) return;
        if (!event(choice(word))) await once(response, 'drain');
      }
    };

    if (typeof reply === 'object' && 'fault' in reply) {
      switch (reply.fault) {
        case 'silence':
          return;
        case 'status':
          if (reply.retryAfter !== undefined) response.setHeader('retry-after', String(reply.retryAfter));
          return sendError(response, reply.status, reply.message ?? `scripted status ${reply.status}`);
        case 'content-type':
          response.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>Sign in</body></html>');
          return;
        case 'empty-choices':
          begin();
          event({ model, choices: [] });
          response.end('data: [DONE]\n\n');
          return;
        case 'drip':
          begin();
          await say(reply.text, reply.milliseconds);
          event(choice('', { finish_reason: 'stop' }));
          response.end('data: [DONE]\n\n');
          return;
      }
      begin();
      await say(reply.text);
      switch (reply.fault) {
        case 'cut':
          // Flushed first: what was said has arrived before the connection breaks.
          setImmediate(() => response.destroy());
          return;
        case 'unfinished':
          response.end('data: [DONE]\n\n');
          return;
        case 'malformed':
          response.end('data: {"choices": [{"index": 0, "del\n\n');
          return;
        case 'shape':
          event({ model, choices: [{ index: 0, ...(isChat ? { delta: { content: 7 } } : { text: 7 }) }] });
          response.end('data: [DONE]\n\n');
          return;
        case 'error-event':
          event({ error: { message: 'the engine died', type: 'server_error', code: 500 } });
          response.end();
          return;
      }
    }

    const {
      reasoning,
      text: wanted,
      finish,
    } = typeof reply === 'string'
      ? { reasoning: '', text: reply, finish: undefined }
      : { reasoning: '', finish: undefined, ...reply };
    const written = write(wanted, body);
    begin();
    for (const word of words(reasoning))
      event({ model, choices: [{ index: 0, delta: { reasoning_content: word }, finish_reason: null }] });
    await say(written.text);
    const told = tells === 'nothing' ? {} : { [tells]: written.matched };
    event(choice('', { finish_reason: finish ?? written.finish, ...told }));
    const prompt_tokens = words(prompt).length;
    const completion_tokens = words(reasoning).length + written.tokens;
    const counted = { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
    if (usage) event({ model, choices: [], usage: counted });
    response.end('data: [DONE]\n\n');
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    asked,
    get mostOpen() {
      return mostOpen;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The wanted text up to the first stop string, which is dropped, or to max_tokens. */
function write(wanted: string, { stop, max_tokens }: Readonly<Record<string, unknown>>) {
  const limit = typeof max_tokens === 'number' ? max_tokens : Number.POSITIVE_INFINITY;
  const stops = Array.isArray(stop) ? (stop as string[]) : typeof stop === 'string' ? [stop] : [];
  const first = stops
    .map((string) => ({ string, at: wanted.indexOf(string) }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => a.at - b.at)[0];
  const kept = first === undefined ? wanted : wanted.slice(0, first.at);
  // The stop string was sampled as well.
  const tokens = words(first === undefined ? wanted : wanted.slice(0, first.at + first.string.length));
  if (tokens.length > limit)
    return { text: tokens.slice(0, limit).join(''), finish: 'length', matched: null, tokens: limit };
  return { text: kept, finish: 'stop', matched: first?.string ?? null, tokens: tokens.length };
}

/** Joined, they are the text. */
function words(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  request.setEncoding('utf8');
  for await (const part of request) text += part;
  return text;
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function sendError(response: ServerResponse, status: number, message: string): void {
  sendJson(response, status, { error: { message, type: 'scripted', code: null } });
}
