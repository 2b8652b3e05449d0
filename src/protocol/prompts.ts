/** The two prompts over which the same response is read: the student's, and the teacher's with an expert shown. */
import { encodeFromStart, encodeMarked, foreign } from '../checkpoint/foreign.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import type { TokenIds } from '../policy/policy.ts';
import { defuse } from './tags.ts';
import type { Template } from './template.ts';
import { placeholder } from './templates.ts';

export type PromptTokenizer = Pick<Tokenizer, 'encode' | 'chat' | 'start'>;

/**
 * Puts values in the places of {names}, in one pass: what a value contains is never looked at again, so a question that
 * says "{expert}" is just a question. Names without a value stay.
 */
export function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(placeholder, (whole, name: string) => (Object.hasOwn(values, name) ? values[name]! : whole));
}

/** The ordinary prompt of a question as a message, before any chat template. Tag-like text in the question is defused (see tags.ts). */
export function studentMessage(template: Template, question: string): string {
  return fill(template.student, { question: defuse(question) });
}

/** The ordinary prompt of a question, as ids. */
export function studentPrompt(tokenizer: PromptTokenizer, template: Template, question: string): number[] {
  const message = fill(template.student, { question: foreign(defuse(question)) });
  const { text, encode } = inChat(tokenizer, template, message);
  return encode(tokenizer, text);
}

/**
 * The privileged prompt, as ids. The expert's ids stand in it exactly as they were sampled: the text before and the
 * text behind are encoded on their own, and nothing is tokenised again.
 */
export function teacherPrompt(
  tokenizer: PromptTokenizer,
  template: Template,
  question: string,
  expert: TokenIds,
): number[] {
  const safeQuestion = foreign(defuse(question));
  // A mark that occurs nowhere else shows, in the finished chat text, where the expert belongs.
  let mark = '\uE000';
  while (safeQuestion.includes(mark) || template.teacher.includes(mark)) mark += '\uE001';
  const message = fill(template.teacher, { question: safeQuestion, expert: mark });
  const { text, encode } = inChat(tokenizer, template, message);
  const parts = text.split(mark);
  if (parts.length !== 2)
    throw new Error(`the chat template shows its message ${parts.length - 1} times, expected once`);
  return [...encode(tokenizer, parts[0]!), ...expert, ...encodeMarked(tokenizer, parts[1]!)];
}

/** A turn that only answers, as ids: its opening tag, the words of the answer, its closing tag; joined they are such a turn. */
export function answerTurn(
  tokenizer: Pick<Tokenizer, 'encode'>,
  answer: string,
): { readonly opening: number[]; readonly words: number[]; readonly closing: number[] } {
  return {
    opening: tokenizer.encode('<answer>'),
    words: encodeMarked(tokenizer, foreign(` ${defuse(answer)} `)),
    closing: tokenizer.encode('</answer>'),
  };
}

/**
 * The message as one user message of the model's chat format, or as it is when template or model have none, and how it is
 * encoded: a chat format writes the beginning of a text itself.
 */
function inChat(
  tokenizer: PromptTokenizer,
  template: Template,
  message: string,
): { readonly text: string; readonly encode: typeof encodeFromStart } {
  const chat = template.chat ? tokenizer.chat(message) : undefined;
  return chat === undefined ? { text: message, encode: encodeFromStart } : { text: chat, encode: encodeMarked };
}
