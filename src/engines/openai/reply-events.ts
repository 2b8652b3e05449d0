/** The events of a server's answer as JSON: of an event stream one by one, of an answer that came whole the one that it is. */
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { UserError } from '../../base/errors.ts';
import { BrokenReply } from './reply-stream.ts';

/** What is read of an answer that came whole, in characters; an event may be as long. */
const LONGEST_ANSWER = 8_000_000;
/** Of an answer that is none, so much is looked at. */
const LONGEST_WORDS = 2000;

/** The server answered, with something that is no reply: its words are in the message. Asking again would not help. */
export class NoReply extends UserError {}

/**
 * An event stream may come without its content type, and a whole reply in place of a stream: both are read.
 * @throws NoReply for anything else; BrokenReply for a stream that is none or that reports an error
 */
export async function* replyEvents(response: Response): AsyncGenerator<unknown> {
  const type = response.headers.get('content-type') ?? '';
  if (/\bjson\b/i.test(type)) {
    const answer = jsonOf(await beginning(response, LONGEST_ANSWER));
    // Of a reply, or of none (an empty list of choices is for `readReply` to judge).
    if (isRecord(answer) && Array.isArray(answer.choices)) yield answer;
    else throw noReply(type, isRecord(answer) ? wordsOf(answer.error ?? answer) : wordsOf(answer));
    return;
  }
  if (!/^(?:text\/event-stream|text\/plain|application\/octet-stream)?\s*(?:;|$)/i.test(type))
    throw noReply(type, await beginning(response, LONGEST_WORDS));
  if (response.body === null) throw noReply(type, '');

  let first = '';
  let events = 0;
  const text = response.body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).pipeThrough(
    new TransformStream<string, string>({
      transform(piece, controller) {
        if (first.length < LONGEST_WORDS) first += piece.slice(0, LONGEST_WORDS);
        controller.enqueue(piece);
      },
    }),
  );
  for await (const { event, data } of text.pipeThrough(
    new EventSourceParserStream({ maxBufferSize: LONGEST_ANSWER }),
  )) {
    if (data.trim() === '') continue;
    events += 1;
    if (data === '[DONE]') return;
    const value = jsonOf(data);
    if (value === undefined) throw new BrokenReply(`an event that is not JSON: ${data.slice(0, LONGEST_WORDS)}`);
    if (isRecord(value) && value.error) throw new BrokenReply(wordsOf(value.error));
    if (event === 'error') throw new BrokenReply(wordsOf(value));
    yield value;
  }
  if (events === 0 && first.trim() !== '') throw noReply(type, first);
}

/** What an error says: its message wherever servers put it, else all of it. */
export function wordsOf(error: unknown): string {
  if (typeof error === 'string') return error;
  if (isRecord(error))
    for (const field of ['message', 'detail', 'error', 'msg'])
      if (typeof error[field] === 'string' && error[field] !== '') return error[field];
  return JSON.stringify(error) ?? '';
}

function noReply(type: string, words: string): NoReply {
  return new NoReply(
    `answered with ${type === '' ? 'no content type' : type}, expected text/event-stream: ${words.trim() || '(nothing)'}`,
    { hint: 'Is this the base URL? It usually ends in /v1.' },
  );
}

/** At most so many characters of the body. */
async function beginning(response: Response, characters: number): Promise<string> {
  let text = '';
  if (response.body === null) return text;
  for await (const piece of response.body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
    text += piece;
    if (text.length >= characters) break;
  }
  return text.slice(0, characters);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
