/** OpenAI's chat completions over an agent: POST /v1/chat/completions, whole or streamed, and GET /v1/models. */
import { randomUUID } from 'node:crypto';
import { UserError } from '../base/errors.ts';
import { sendPage } from '../base/http/reply.ts';
import type { Asked, AskOptions } from '../evaluation/agent.ts';
import { isFailure } from '../rollout/trajectory.ts';
import type { RolloutEvent } from '../rollout/turns.ts';
import { ApiError, errorBody } from './api-error.ts';
import { chunkOf, completionOf, lastChunks, type ReplyHead } from './chat-reply.ts';
import { type ChatRequest, parseChatRequest } from './chat-request.ts';
import { Busy, type Desk, Late } from './desk.ts';
import { Reasoning } from './reasoning.ts';
import type { Protocol, Served } from './serve-agent.ts';

/** A stream says so often that it is alive, in milliseconds: while a question waits there is nothing else to say. */
const ALIVE = 10_000;
/** Bytes that a client may leave unread before it is cut off. */
const MOST_UNREAD = 2 ** 20;

/** @param onAnswered told of every question with its texts; only where a user has asked for that */
export function chatProtocol(onAnswered?: (asked: Asked) => void): Protocol {
  const created = Math.floor(Date.now() / 1000);
  return (path, served) => {
    const { request, response, desk } = served;
    const { name } = desk.agent.about.policy;
    const model = { id: name, object: 'model', created, owned_by: 'search-e1' };
    const [, , version, page, ...rest] = ['', ...path.split('/')];
    if (version !== 'v1') return undefined;
    if (page === 'chat' && rest.join('/') === 'completions') {
      if (request.method !== 'POST') throw new ApiError(405, `${path}: expected POST`);
      return complete(served, onAnswered);
    }
    if (page !== 'models') return undefined;
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new ApiError(405, `${path}: expected GET`);
    if (rest.length > 0) refuseOther(decoded(rest.join('/')), desk);
    sendPage(response, 'application/json', JSON.stringify(rest.length > 0 ? model : { object: 'list', data: [model] }));
    return Promise.resolve();
  };
}

async function complete(served: Served, onAnswered: ((asked: Asked) => void) | undefined): Promise<void> {
  const { desk, metrics, response } = served;
  const began = performance.now();
  const request = parseChatRequest(await served.json());
  refuseOther(request.model, desk);
  const head: ReplyHead = {
    id: `chatcmpl-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: desk.agent.about.policy.name,
  };
  const stream = request.stream ? new Stream(served, head) : undefined;
  let text = '';
  const reasoning = new Reasoning((piece) => {
    text += piece;
    stream?.send(chunkOf(head, { reasoning_content: piece }));
  });
  try {
    const asked = await askAtDesk(served, request, (event) => reasoning.see(event));
    reasoning.end();
    metrics.answer(asked, (performance.now() - began) / 1000);
    onAnswered?.(asked);
    if (stream === undefined)
      return sendPage(response, 'application/json', JSON.stringify(completionOf(head, request, asked, text)));
    for (const chunk of lastChunks(head, request, asked)) stream.send(chunk);
    stream.end();
  } catch (error) {
    if (stream === undefined || !stream.begun || !(error instanceof ApiError)) throw error;
    served.note(error.message);
    stream.fail(error);
  } finally {
    stream?.stop();
  }
}

/** @throws ApiError for whatever is no answer */
async function askAtDesk(
  { desk, signal, note }: Served,
  { question, earlier, temperature, seed, maxTokens }: ChatRequest,
  onEvent: (event: RolloutEvent) => void,
): Promise<Asked> {
  const { limits } = desk.agent.about;
  const options: AskOptions = {
    signal,
    onEvent,
    earlier,
    temperature,
    seed,
    ...(maxTokens !== undefined && { limits: { responseTokens: Math.min(maxTokens, limits.responseTokens) } }),
  };
  const asked = await desk.ask(question, options).catch((error: unknown) => {
    if (error instanceof Busy)
      throw new ApiError(429, error.message, { code: 'queue_full', retryAfter: error.retryAfter });
    if (error instanceof Late) throw new ApiError(504, error.message, { code: 'deadline' });
    if (error instanceof UserError) throw new ApiError(400, error.message, { param: 'messages' });
    throw error;
  });
  if (!isFailure(asked.stop)) return asked;
  if (asked.stop === 'prompt-too-long')
    throw new ApiError(400, `messages: ${asked.failure}`, { code: 'context_length_exceeded', param: 'messages' });
  // The words may name addresses that are not the client's to know.
  note(`${asked.stop}: ${asked.failure ?? 'no reason given'}`);
  throw new ApiError(502, `no answer: ${asked.stop}`, { code: asked.stop });
}

/** @throws ApiError 404 */
function refuseOther(model: string, desk: Desk): void {
  const { name } = desk.agent.about.policy;
  if (model !== name)
    throw new ApiError(
      404,
      `The model ${JSON.stringify(model.slice(0, 200))} does not exist; this server has ${JSON.stringify(name)}`,
      {
        code: 'model_not_found',
        param: 'model',
      },
    );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The events of one answer. It begins with the first of them, so that a refusal before that has its own status. */
class Stream {
  readonly #served: Served;
  readonly #head: ReplyHead;
  readonly #alive: NodeJS.Timeout;
  begun = false;

  constructor(served: Served, head: ReplyHead) {
    this.#served = served;
    this.#head = head;
    this.#alive = setInterval(() => this.#write(': waiting\n\n'), ALIVE);
  }

  send(event: object): void {
    this.#write(`data: ${JSON.stringify(event)}\n\n`);
  }

  end(): void {
    this.#write('data: [DONE]\n\n');
    this.#served.response.end();
  }

  fail(error: ApiError): void {
    this.send(errorBody(error));
    this.#served.response.end();
  }

  stop(): void {
    clearInterval(this.#alive);
  }

  #write(text: string): void {
    const { response } = this.#served;
    if (response.destroyed) return;
    if (!this.begun) {
      this.begun = true;
      response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8', 'Cache-Control': 'no-cache' });
      this.send(chunkOf(this.#head, { role: 'assistant', content: '' }));
    }
    response.write(text);
    if (response.writableLength > MOST_UNREAD) response.destroy();
  }
}
