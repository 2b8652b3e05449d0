/** Messages as one text, for models that continue a text: the embedded engine, and servers asked by /completions. */
import { type ChatTemplate, inTemplate } from '../checkpoint/served-template.ts';
import type { TextModel, TextRequest } from '../policy/text-model.ts';

/** In the tokenizer's chat template; plain, with blank lines between, where there is none. A raw prompt stays as it is. */
export function asOneText(prompt: TextRequest['prompt'], chatTemplate: ChatTemplate | undefined): string {
  if (typeof prompt === 'string') return prompt;
  return inTemplate(prompt, chatTemplate) ?? prompt.map(({ content }) => content).join('\n\n');
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
