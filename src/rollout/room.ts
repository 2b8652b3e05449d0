/** Room in the context: which questions can be asked at all. A prompt has to leave room for the shortest turn that answers. */
import { UserError } from '../base/errors.ts';
import type { Question } from '../base/question.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { type PromptTokenizer, studentMessage, studentPrompt } from '../protocol/prompts.ts';
import type { Template } from '../protocol/template.ts';
import type { RolloutLimits } from './turns.ts';

/** As text; on ids its length is `shortestTurn`. */
export const SHORTEST_TURN = '<answer> x </answer>';

/** In tokens. */
export function shortestTurn(tokenizer: Pick<Tokenizer, 'encode'>): number {
  return tokenizer.encode(SHORTEST_TURN).length;
}

export interface PromptLengths {
  /** Questions whose prompts leave room for a turn, in order. */
  readonly askable: readonly Question[];
  /** The others, with the tokens of their prompts. */
  readonly tooLong: readonly { readonly question: Question; readonly promptTokens: number }[];
}

/**
 * @param contextTokens of prompt and response together
 */
export function promptLengths(
  questions: readonly Question[],
  tokenizer: PromptTokenizer,
  template: Template,
  contextTokens: number,
): PromptLengths {
  const most = contextTokens - shortestTurn(tokenizer);
  // A token is at least a byte: where the bytes have room nothing has to be encoded, as with most questions.
  const around = Buffer.byteLength((template.chat ? tokenizer.chat('') : undefined) ?? '');
  const askable: Question[] = [];
  const tooLong: { question: Question; promptTokens: number }[] = [];
  for (const question of questions) {
    if (around + Buffer.byteLength(studentMessage(template, question.question)) <= most) {
      askable.push(question);
      continue;
    }
    const promptTokens = studentPrompt(tokenizer, template, question.question).length;
    if (promptTokens <= most) askable.push(question);
    else tooLong.push({ question, promptTokens });
  }
  return { askable, tooLong };
}

/** Where questions are asked, as far as the room for them goes. */
export interface AskedWithin {
  readonly tokenizer: PromptTokenizer;
  readonly template: Template;
  readonly limits: Pick<RolloutLimits, 'searches' | 'responseTokens' | 'observationTokens' | 'contextTokens'>;
  /** Of the model itself. */
  readonly contextLength: number;
}

/**
 * The questions that can be asked, and a note about those that cannot: they are to be left out of rewards and means.
 * @param what the questions' name, e.g. "training questions"
 * @param raise the option that sets contextTokens to a number
 * @throws UserError when most of them cannot be asked
 */
export function keepAskable(
  questions: readonly Question[],
  { tokenizer, template, limits, contextLength }: AskedWithin,
  what: string,
  raise: (tokens: number) => string,
): { readonly askable: readonly Question[]; readonly note: string | undefined } {
  const context = Math.min(limits.contextTokens, contextLength);
  const { askable, tooLong } = promptLengths(questions, tokenizer, template, context);
  if (tooLong.length === 0) return { askable, note: undefined };
  const longest = tooLong.reduce((most, each) => (each.promptTokens > most.promptTokens ? each : most));
  const found =
    `${tooLong.length} of ${questions.length} ${what} leave no room for a turn in a context of ${context} tokens ` +
    `(the prompt of ${longest.question.id} has ${longest.promptTokens})`;
  if (tooLong.length <= questions.length / 2) return { askable, note: `${found}; they are left out` };
  // Enough for the longest prompt, all that may be said behind it, and all that may be shown.
  const wanted = longest.promptTokens + limits.responseTokens + limits.searches * limits.observationTokens;
  const enough = Math.min(contextLength, 2 ** Math.ceil(Math.log2(wanted)));
  throw new UserError(found, {
    hint:
      enough - shortestTurn(tokenizer) >= longest.promptTokens
        ? `Allow a longer context: ${raise(enough)}`
        : `The model's own context has ${contextLength} tokens: ask shorter questions, use a shorter template, or take another model.`,
  });
}
