import { expect, it } from 'vitest';
import { inTemplate } from '../checkpoint/served-template.ts';
import { testTokenizer } from '../protocol/testing/tokenizer.ts';
import { asOneText } from './by-completions.ts';

const plain = testTokenizer({ chat: true });
const BOS = '<|im_start|>';
const said = `${BOS}user\nwhy ?<|im_end|>\n${BOS}assistant\n`;

it('leaves the beginning of a text out exactly where the server’s tokenizer adds it', () => {
  // Whatever the server adds in front, the model reads the template's text once.
  const adds = { ...plain, start: plain.encode(BOS) };
  expect(BOS + inTemplate('why ?', adds)!).toBe(said);
  expect(BOS + asOneText([{ role: 'user', content: 'why ?' }], adds)).toBe(said);
  expect(inTemplate('why ?', { ...plain, start: [] })).toBe(said);
  // A template that does not begin like it is sent whole, and a text without a template as it is.
  const other = { ...plain, start: plain.encode('</') };
  expect(inTemplate('why ?', other)).toBe(said);
  expect(asOneText(`${BOS}raw`, adds)).toBe(`${BOS}raw`);
  expect(inTemplate('why ?', testTokenizer())).toBeUndefined();
});
