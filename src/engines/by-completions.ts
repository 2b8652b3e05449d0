/** Messages as one text, for models that continue a text: the embedded engine, and servers asked by /completions. */
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { TextModel, TextRequest } from '../policy/text-model.ts';

/** Of the model that a server has: its chat template, and how its tokenizer begins texts. */
export type ChatTemplate = Pick<Tokenizer, 'chat' | 'start' | 'decode'>;

/** In the tokenizer's chat template; plain, with blank lines between, where there is none. A raw prompt stays as it is. */
export function asOneText(prompt: TextRequest['prompt'], chatTemplate: ChatTemplate | undefined): string {
  if (typeof prompt === 'string') return prompt;
  return inTemplate(prompt, chatTemplate) ?? prompt.map(({ content }) => content).join('\n\n');
}

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

/** The same model, never asked by messages. */
export function byCompletions(model: TextModel, chatTemplate: ChatTemplate | undefined): TextModel {
  return {
    info: model.info,
    complete: (request, signal) =>
      model.complete({ ...request, prompt: asOneText(request.prompt, chatTemplate) }, signal),
    close: () => model.close(),
  };
}
