import { Tokenizer as Library } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { bounded } from './encode-limits.ts';
import { splittingOf } from './gguf/splitting.ts';
import { tokenizerFromJson } from './tokenizer.ts';

/** Letters, each a token. */
const letters = 'abcdefghijklmnopqrstuvwxyz '.split('');
const json = {
  added_tokens: [{ id: 27, content: '<s>', special: true }],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: { type: 'Fuse' },
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(letters.map((letter, id) => [letter, id])),
    merges: [],
    unk_token: 'a',
  },
};
const tokenizer = (parts: object) => tokenizerFromJson(JSON.stringify({ ...json, ...parts }), {}, 'strange.json');
const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
const replace = (pattern: object, content: string) => ({ type: 'Replace', pattern, content });
const hostile = `${'a'.repeat(60)}!`;

describe('a tokenizer with regular expressions of its own', () => {
  it('splits as its expressions say', () => {
    const own = tokenizer({ pre_tokenizer: split('(a|b)+') });
    expect(own.encode('abxab')).toEqual([0, 1, 23, 0, 1]);
    expect(own.decode([7, 8])).toBe('hi');
  });

  it('ends with a sentence where one takes for ever, and goes on with other texts', () => {
    const own = tokenizer({ pre_tokenizer: split('(a+)+$') });
    expect(() => own.encode(hostile)).toThrow(UserError);
    expect(own.encode('hi')).toEqual([7, 8]);
  });

  it.each([
    ['normalizer', 'characters', { normalizer: replace({ Regex: '(a|a)*b$' }, '') }],
    ['a step of a sequence', 'characters', { pre_tokenizer: { type: 'Sequence', pretokenizers: [split('(a|aa)+$')] } }],
    ['decoder', 'tokens', { decoder: replace({ Regex: '(a+)+$' }, '') }],
  ])('watches every part: %s', (part, unit, parts) => {
    const content = { ...json, ...parts, model: { ...json.model, vocab: { ...json.model.vocab, [hostile]: 28 } } };
    const watched = bounded(new Library(content, {}), content, 'strange.json', { base: 200, perCharacter: 0 });
    const work = () =>
      part === 'decoder' ? watched.decode([28], { clean_up_tokenization_spaces: false }) : watched.encode(hostile);
    expect(work).toThrow(new RegExp(`^strange\\.json: the tokenizer takes too long for a text of \\d+ ${unit}$`));
  });

  it('refuses chains of replacements that blow texts up', () => {
    const doubling = Array.from({ length: 40 }, () => replace({ String: 'a' }, 'aa'));
    expect(() => tokenizer({ normalizer: { type: 'Sequence', normalizers: doubling } })).toThrow(
      /strange\.json: normalizer: its replacements can make a text 1\.1e\+12 times as long/,
    );
    const between = Array.from({ length: 11 }, () => replace({ Regex: 'a*' }, 'x'));
    expect(() => tokenizer({ normalizer: { type: 'Sequence', normalizers: between } })).toThrow(/times as long/);
    expect(() => tokenizer({ normalizer: replace({ String: 'a' }, 'x'.repeat(1001)) })).toThrow(/times as long/);
    // Those of SentencePiece.
    const usual = [{ type: 'Prepend', prepend: '▁' }, replace({ String: ' ' }, '▁'), replace({ Regex: ' {2,}' }, '▁')];
    expect(() => tokenizer({ normalizer: { type: 'Sequence', normalizers: usual } })).not.toThrow();
  });
});

describe('published splitting rules, which are not watched', () => {
  it.each(['gpt-2', 'llama3', 'qwen2', 'tekken', 'gpt-4o', 'seed-coder', 'deepseek-v3'])(
    '%s takes a time proportional to the text, however it is made',
    (name) => {
      const own = tokenizer({ pre_tokenizer: splittingOf(name)!.pre_tokenizer });
      for (const run of ['a', ' ', '\n', '\u4e00', '!', 'aA', ' \n']) {
        const text = `${run.repeat(40_000 / run.length)}b`;
        const began = process.cpuUsage();
        own.encode(text);
        const { user, system } = process.cpuUsage(began);
        // Its square are 1.6 billion steps.
        expect((user + system) / 1e6, JSON.stringify(run)).toBeLessThan(2);
      }
    },
  );
});
