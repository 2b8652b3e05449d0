/**
 * Every word of the world's language, in the order that gives the token ids of the embedded policy's tokenizer.
 * Changing anything here makes the shipped checkpoint unreadable.
 */
import { wordTokenizerJson } from '../checkpoint/word-tokenizer.ts';
import { NAME_TOKENS } from './names.ts';
import { ENTITY_TYPES, RELATIONS } from './schema.ts';

export const SPECIAL_TOKENS: readonly string[] = [
  '<pad>',
  '<unk>',
  '<q>',
  '</q>',
  '<ref>',
  '</ref>',
  '<think>',
  '</think>',
  '<search>',
  '</search>',
  '<information>',
  '</information>',
  '<answer>',
  '</answer>',
];

const PUNCTUATION = ['[', ']', '.', '?'];
const QUESTION_WORDS = "what is the of 's name tell me its do have same and yes no".split(' ');
const ARTICLE_WORDS = ['a'];
const THINKING_WORDS = ['find', 'check', 'not', 'found', 'done'];
const ENVIRONMENT_WORDS = ['invalid'];

/** Words without the special tokens, each once. */
export const WORDS: readonly string[] = [
  ...new Set([
    ...PUNCTUATION,
    ...QUESTION_WORDS,
    ...ARTICLE_WORDS,
    ...THINKING_WORDS,
    ...ENVIRONMENT_WORDS,
    ...ENTITY_TYPES,
    ...RELATIONS.flatMap(({ name, surfaces, paraphrase }) => [name, ...surfaces.join(' ').split(' '), paraphrase]),
    ...NAME_TOKENS,
  ]),
];

/** The text of tokenizer.json for the world's language. */
export function worldTokenizerJson(): string {
  return wordTokenizerJson(WORDS, SPECIAL_TOKENS);
}
