import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tokenizerFromJson } from './tokenizer.ts';
import { wordTokenizerJson } from './word-tokenizer.ts';

const SPECIAL = ['<pad>', '<unk>', '<q>', '</q>', '<search>', '</search>'];
const WORDS = ['[', ']', '.', '?', "'s", 'the', 'there', 'is', 'gezor', 'fano', 'constructor', '__proto__', 'über'];
const tokenizer = tokenizerFromJson(wordTokenizerJson(WORDS, SPECIAL));

describe('word tokenizer', () => {
  it('gives ids in order, special tokens first', () => {
    expect(tokenizer.vocabulary).toBe(SPECIAL.length + WORDS.length);
    for (const [id, token] of [...SPECIAL, ...WORDS].entries()) expect(tokenizer.encode(token)).toEqual([id]);
  });

  it('recognises special tokens glued to words, and any white space between words', () => {
    const text = '<q> the gezor </q> <search> fano ? </search>';
    expect(tokenizer.encode('<q>the\n\tgezor</q><search>fano  ?</search>')).toEqual(tokenizer.encode(text));
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  });

  it('knows whole words only', () => {
    const unknown = SPECIAL.indexOf('<unk>');
    expect(tokenizer.encode('thereis is? the')).toEqual([unknown, unknown, tokenizer.encode('the')[0]]);
    expect(tokenizer.encode(`##the ${'x'.repeat(200)} THE`)).toEqual([unknown, unknown, unknown]);
    expect(tokenizer.encode(' \n ')).toEqual([]);
  });

  it('round-trips any ids, and any text of single-spaced tokens', () => {
    const ids = fc.array(fc.integer({ min: 0, max: tokenizer.vocabulary - 1 }), { maxLength: 30 });
    fc.assert(
      fc.property(ids, (ids) => {
        const text = ids.map((id) => [...SPECIAL, ...WORDS][id]).join(' ');
        expect(tokenizer.decode(ids)).toBe(text);
        expect(tokenizer.encode(text)).toEqual(ids);
        // The pieces hold the decoded text, so that strings are found in them.
        expect(ids.map((id) => tokenizer.pieces[id]).join('')).toBe(ids.length === 0 ? '' : ` ${text}`);
      }),
    );
  });

  it('has no chat format', () => {
    expect(tokenizer.chat('the')).toBeUndefined();
    expect(tokenizer.endTokens).toEqual([]);
  });

  it('adds <unk> where it is not listed', () => {
    const small = tokenizerFromJson(wordTokenizerJson(['yes'], ['<q>']));
    expect(small.encode('<q> yes no')).toEqual([0, 2, 1]);
    expect(small.decode([1])).toBe('<unk>');
  });

  it.each<[string, string[], string[]]>([
    ['an empty word', [''], []],
    ['a word twice', ['a', 'a'], []],
    ['a word that is special', ['<q>'], ['<q>']],
    ['white space', ['a b'], []],
    ['a continuation', ['##a'], []],
    ['a word that contains a special token', ['a<q>'], ['<q>']],
  ])('refuses %s', (_, words, special) => {
    expect(() => wordTokenizerJson(words, special)).toThrow(RangeError);
  });
});
