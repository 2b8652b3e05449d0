/**
 * A model for the mock that acts in the embedded world's language: from a question or a passage to a search or an answer, which
 * is one of two words; "author" is the one to learn.
 */
import { BASE_POLICY } from '../../../checkpoint/base-policy.ts';
import { loadTokenizer } from '../../../checkpoint/tokenizer.ts';
import { CopyingBigram } from './copying-bigram.ts';

export const RIGHT = 'author';

/** Where a turn goes from a word, each way alike; any other way is all but impossible. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  '</q>': ['<search>', '<answer>'],
  '</ref>': ['<search>', '<answer>'],
  '</information>': ['<search>', '<answer>', '<answer>'],
  '<search>': ['capital'],
  capital: ['</search>'],
  '<answer>': [RIGHT, 'spouse'],
  [RIGHT]: ['</answer>'],
  spouse: ['</answer>'],
};

export async function worldBigram(): Promise<{ initial: CopyingBigram; pieces: readonly string[] }> {
  const { vocabulary: V, pieces, encode } = await loadTokenizer(BASE_POLICY);
  const id = (word: string) => encode(word)[0]!;
  const initial = new CopyingBigram(V);
  for (const [word, next] of Object.entries(WAYS))
    for (const each of next) initial.parameters[id(word) * V + id(each)] = 8;
  return { initial, pieces };
}
