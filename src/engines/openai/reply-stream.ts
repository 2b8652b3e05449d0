/** Reads one streamed reply, of a chat or of a raw completion, event by event. Only a finished reply is a reply. */
import { z } from 'zod';
import type { TextReply, TextRequest } from '../../policy/text-model.ts';
import { endOfStop } from '../stop-strings.ts';
import { droppedStop } from './stops.ts';

/** The server answered, but not with a whole reply. Asking again may help. */
export class BrokenReply extends Error {
  override readonly name = 'BrokenReply';
}

const matched = z.union([z.string(), z.number()]).nullish();

const eventSchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        /** Of a chat; thinking kept apart is called reasoning_content (SGLang, llama.cpp) or reasoning (vLLM, Ollama). */
        delta: z
          .looseObject({
            content: z.string().nullish(),
            reasoning_content: z.string().nullish(),
            reasoning: z.string().nullish(),
          })
          .nullish(),
        /** Of a raw completion. */
        text: z.string().nullish(),
        finish_reason: z.string().nullish(),
        stop_reason: matched,
        matched_stop: matched,
      }),
    )
    .default([]),
  usage: z
    .looseObject({ prompt_tokens: z.int().nonnegative(), completion_tokens: z.int().nonnegative() })
    .nullish()
    // A count that is no count is no reason to throw a reply away.
    .catch(undefined),
});

type Listeners = Pick<TextRequest, 'stop' | 'onText' | 'onReasoning'>;

/**
 * Puts a reply together. It ends at the first stop string even where the server goes on, and the stop string that a server
 * dropped is put back.
 * @throws BrokenReply when the stream ends before a finish_reason, or says what no reply should say
 */
export async function readReply(
  events: AsyncIterable<unknown>,
  { stop, onText, onReasoning }: Listeners,
): Promise<TextReply> {
  let [text, reasoning] = ['', ''];
  let finish: TextReply['finish'] | undefined;
  let usage: z.infer<typeof eventSchema>['usage'];

  const longestStop = Math.max(1, ...stop.map((string) => string.length));
  const say = (piece: string) => {
    text += piece;
    if (piece !== '') onText?.(piece);
  };
  for await (const value of events) {
    const parsed = eventSchema.safeParse(value);
    if (!parsed.success) throw new BrokenReply(`an event of another form (${z.prettifyError(parsed.error)})`);
    usage = parsed.data.usage ?? usage;
    const [choice] = parsed.data.choices;
    if (choice === undefined || finish !== undefined) continue;

    const thought = choice.delta?.reasoning_content ?? choice.delta?.reasoning ?? '';
    reasoning += thought;
    if (thought !== '') onReasoning?.(thought);
    const piece = choice.delta?.content ?? choice.text ?? '';
    // A stop string may begin in an earlier piece, but no further back than its own length.
    const before = text.slice(-longestStop);
    const end = endOfStop(before + piece, stop);
    say(end === undefined ? piece : piece.slice(0, end - before.length));
    if (end !== undefined) {
      finish = 'stop';
      // A server that has sent a stop string may not know that it was to stop; leaving the loop hangs up.
      if (choice.finish_reason == null) break;
    } else if (choice.finish_reason != null) {
      finish = finishOf(choice.finish_reason);
      const told = choice.stop_reason === undefined ? choice.matched_stop : choice.stop_reason;
      if (finish === 'stop') say(droppedStop(text, stop, told) ?? '');
    }
  }
  if (finish === undefined) throw new BrokenReply('the stream ended before the reply was finished');
  return {
    text,
    ...(reasoning === '' ? {} : { reasoning }),
    finish,
    promptTokens: usage?.prompt_tokens ?? null,
    newTokens: usage?.completion_tokens ?? null,
  };
}

function finishOf(reason: string): TextReply['finish'] {
  if (reason === 'stop' || reason === 'length') return reason;
  // content_filter, tool_calls, abort, error: what was written is not what the model would have written.
  throw new BrokenReply(`the reply was ended by "${reason}"`);
}
