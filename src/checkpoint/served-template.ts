/** The chat template of a model that a server has, put around messages here: for servers that continue a raw text. */
import type { Tokenizer } from './tokenizer.types.ts';

/** Of the model that a server has: its chat template, and how its tokenizer begins texts. */
export type ChatTemplate = Pick<Tokenizer, 'chat' | 'start' | 'decode'>;

/**
 * Messages, or one of a user, as a text for a server; undefined where there is no template. The server's tokenizer puts the
 * beginning of a text in front of what it is sent: where the template writes it too, it is left out, so that it stands there once.
 */
export function inTemplate(
  message: Parameters<Tokenizer['chat']>[0],
  chatTemplate: ChatTemplate | undefined,
): string | undefined {
  const text = chatTemplate?.chat(message);
  const beginning = chatTemplate?.decode(chatTemplate.start) ?? '';
  return beginning !== '' && text?.startsWith(beginning) ? text.slice(beginning.length) : text;
}
