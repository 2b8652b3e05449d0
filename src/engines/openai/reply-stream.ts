/** Puts a reply together, of a chat or of a raw completion, streamed or whole. Only a finished reply is a reply. */
import { z } from 'zod';
import type { TextReply, TextRequest } from '../../policy/text-model.ts';
import { endOfStop } from '../stop-strings.ts';
import { droppedStop } from './stops.ts';

/** The server answered, but not with a whole reply. Asking again may help. */
export class BrokenReply extends Error {
  override readonly name = 'BrokenReply';
}

/** More than any model writes in a turn: a server that goes on for ever does not fill the memory. */
const LONGEST_REPLY = 4_000_000;

const matched = z.union([z.string(), z.number()]).nullish();

/** Text, or a list of parts of which some are text and some are thinking (Mistral). Other parts are passed over. */
const content = z
  .union([
    z.string(),
    z.array(
      z.looseObject({
        type: z.string().nullish(),
        text: z.string().nullish(),
        thinking: z.union([z.string(), z.array(z.looseObject({ text: z.string().nullish() }))]).nullish(),
      }),
    ),
  ])
  .nullish();

const message = z
  .looseObject({
    content,
    /** Thinking kept apart: reasoning_content (SGLang, llama.cpp, LM Studio) or reasoning (vLLM, Ollama). */
    reasoning_content: z.string().nullish(),
    reasoning: z.string().nullish(),
  })
  .nullish();

const choiceSchema = z.looseObject({
  /** Absent in servers that never give more than one. */
  index: z.int().nullish(),
  /** Of a streamed chat. */
  delta: message,
  /** Of a chat that came whole. */
  message,
  /** Of a raw completion. */
  text: z.string().nullish(),
  finish_reason: z.string().nullish(),
  stop_reason: matched,
  matched_stop: matched,
});

const eventSchema = z.looseObject({
  choices: z.array(choiceSchema).nullish(),
  usage: z
    .looseObject({ prompt_tokens: z.int().nonnegative(), completion_tokens: z.int().nonnegative() })
    .nullish()
    // A count that is no count is no reason to throw a reply away.
    .catch(undefined),
});

type Listeners = Pick<TextRequest, 'stop' | 'onText' | 'onReasoning'>;

/**
 * It ends at the first stop string even where the server goes on, and the stop string that a server dropped is put back.
 * @throws BrokenReply when the events end before a finish_reason, or say what no reply should say
 */
export async function readReply(
  events: AsyncIterable<unknown>,
  { stop, onText, onReasoning }: Listeners,
): Promise<TextReply> {
  let [text, reasoning] = ['', ''];
  /** Cut at a stop string: what a server sends behind it is dropped. */
  let cut = false;
  /** What the server said of the end; the last word counts, since some say it with every piece. */
  let said: z.infer<typeof choiceSchema> | undefined;
  let usage: z.infer<typeof eventSchema>['usage'];

  const longestStop = Math.max(1, ...stop.map((string) => string.length));
  const say = (piece: string) => {
    text += piece;
    if (piece !== '') onText?.(piece);
  };
  const think = (piece: string) => {
    reasoning += piece;
    if (piece !== '') onReasoning?.(piece);
  };
  for await (const value of events) {
    const parsed = eventSchema.safeParse(value);
    if (!parsed.success) throw new BrokenReply(`an event of another form (${z.prettifyError(parsed.error)})`);
    usage = parsed.data.usage ?? usage;
    // Only one reply was asked for; a server may send others beside it.
    const choice = parsed.data.choices?.find(({ index }) => (index ?? 0) === 0);
    if (choice === undefined || cut) continue;

    const written = choice.delta ?? choice.message;
    const parts = partsOf(written?.content);
    think(written?.reasoning_content || written?.reasoning || parts.thinking);
    const piece = parts.text || choice.text || '';
    if (text.length + reasoning.length + piece.length > LONGEST_REPLY)
      throw new BrokenReply(`a reply of more than ${LONGEST_REPLY.toLocaleString('en')} characters`);
    // A stop string may begin in an earlier piece, but no further back than its own length.
    const before = text.slice(-longestStop);
    const end = endOfStop(before + piece, stop);
    say(end === undefined ? piece : piece.slice(0, end - before.length));
    cut = end !== undefined;
    // Some servers say "" where nothing has ended.
    if (choice.finish_reason) said = choice;
    // A server that has sent a stop string may not know that it was to stop; leaving the loop hangs up.
    else if (cut) break;
  }
  if (!cut && said === undefined) throw new BrokenReply('the stream ended before the reply was finished');
  const finish = cut ? 'stop' : finishOf(said!.finish_reason!);
  if (finish === 'stop' && !cut) {
    const told = said!.stop_reason === undefined ? said!.matched_stop : said!.stop_reason;
    // What the model has only thought of ends in its thoughts: a tag in them does nothing.
    if (text.trim() === '' && reasoning !== '') think(droppedStop(reasoning, stop, told) ?? '');
    else say(droppedStop(text, stop, told) ?? '');
  }
  return {
    text,
    ...(reasoning === '' ? {} : { reasoning }),
    finish,
    promptTokens: usage?.prompt_tokens ?? null,
    newTokens: usage?.completion_tokens ?? null,
  };
}

function partsOf(value: z.infer<typeof content>): { text: string; thinking: string } {
  if (typeof value !== 'object' || value === null) return { text: value ?? '', thinking: '' };
  const thinking = value.map((part) =>
    typeof part.thinking === 'string' ? part.thinking : (part.thinking ?? []).map(({ text }) => text ?? '').join(''),
  );
  return { text: value.map(({ text }) => text ?? '').join(''), thinking: thinking.join('') };
}

/** The servers' words for the two ends that a reply may come to, in lower case. */
const stops = ['stop', 'eos', 'eos_token', 'stop_token', 'stop_sequence', 'end_turn', 'end_of_turn', 'complete'];
const lengths = ['length', 'max_tokens', 'max_output_tokens', 'max_length', 'model_length'];

function finishOf(reason: string): TextReply['finish'] {
  const word = reason.toLowerCase();
  if (stops.includes(word)) return 'stop';
  if (lengths.includes(word)) return 'length';
  // content_filter, tool_calls, abort, error: what was written is not what the model would have written.
  throw new BrokenReply(`the reply was ended by "${reason}"`);
}
