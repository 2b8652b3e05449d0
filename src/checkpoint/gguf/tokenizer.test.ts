import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../base/errors.ts';
import { worldTokenizerJson } from '../../world/vocabulary.ts';
import type { ModelConfig } from '../config.ts';
import { readConfig } from '../model-directory.ts';
import { lacks, shared } from '../shared.testing.ts';
import { tokenizerFromJson } from '../tokenizer.ts';
import { readTokenizerFiles } from '../tokenizer-files.ts';
import { Metadata, type Scalar, type Value } from './metadata.ts';
import { ruleNameOf, ruleNames, splittingOf } from './splitting.ts';
import { tokenizerFilesOf } from './tokenizer.ts';
import { tokenizerMetadata } from './tokenizer-metadata.ts';

const llama = path.join(import.meta.dirname, '..', 'testing', 'llama.gguf');
const config: ModelConfig = await readConfig(llama);
const list = (...values: Scalar[]) => ({ length: values.length, values: () => values });
const GOOD: Record<string, Value> = {
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': 'gpt-2',
  'tokenizer.ggml.tokens': list('<s>', 'a', 'b', 'ab', '<end>', '[PAD5]'),
  'tokenizer.ggml.token_type': list(3, 1, 1, 1, 4, 5),
  'tokenizer.ggml.merges': list('a b'),
  'tokenizer.ggml.bos_token_id': 0,
  'tokenizer.ggml.eos_token_id': 0,
};
const filesOf = (change: Record<string, Value | undefined>) =>
  tokenizerFilesOf(
    new Metadata(
      'm.gguf',
      new Map(
        Object.entries({ ...GOOD, ...change }).filter((entry): entry is [string, Value] => entry[1] !== undefined),
      ),
    ),
    'm.gguf',
    config,
  );
const tokenizerOf = (change: Record<string, Value | undefined>) => {
  const files = filesOf(change);
  return tokenizerFromJson(files.json, files);
};

describe('the tokenizer of a GGUF file', () => {
  it('has control tokens, those that users defined, and nothing for what fills up', () => {
    const { added_tokens } = JSON.parse(filesOf({}).json);
    expect(added_tokens.map(({ id, special }: { id: number; special: boolean }) => [id, special])).toEqual([
      [0, true],
      [4, false],
    ]);
    const tokenizer = tokenizerOf({});
    expect(tokenizer.encode('<s>ab<end>')).toEqual([0, 3, 4]);
    expect(tokenizer.vocabulary).toBe(5);
  });

  it('begins texts where the file says so, or else the rule', () => {
    expect(tokenizerOf({}).start).toEqual([]);
    expect(tokenizerOf({ 'tokenizer.ggml.add_bos_token': true }).start).toEqual([0]);
    expect(tokenizerOf({ 'tokenizer.ggml.pre': 'llama-bpe' }).start).toEqual([0]);
    expect(tokenizerOf({ 'tokenizer.ggml.pre': 'llama-bpe', 'tokenizer.ggml.add_bos_token': false }).start).toEqual([]);
    expect(tokenizerOf({ 'tokenizer.ggml.add_eos_token': true }).start).toEqual([]);
  });

  it.each<[string, Record<string, Value | undefined>, RegExp]>([
    [
      'SentencePiece',
      { 'tokenizer.ggml.model': 'llama' },
      /tokenizer\.ggml\.model: "llama" is not supported, expected "gpt2"/,
    ],
    ['no tokenizer', { 'tokenizer.ggml.model': undefined }, /tokenizer\.ggml\.model: none/],
    ['a rule that is not known', { 'tokenizer.ggml.pre': 'mine' }, /tokenizer\.ggml\.pre: "mine" is no rule/],
    ['a rule called like a property', { 'tokenizer.ggml.pre': 'constructor' }, /"constructor" is no rule/],
    ['no rule', { 'tokenizer.ggml.pre': undefined }, /tokenizer\.ggml\.pre: none/],
    ['no tokens', { 'tokenizer.ggml.tokens': undefined }, /tokenizer\.ggml\.tokens is missing/],
    ['no merges', { 'tokenizer.ggml.merges': undefined }, /tokenizer\.ggml\.merges is missing/],
    ['tokens that are numbers', { 'tokenizer.ggml.tokens': list(1, 2) }, /tokens: expected a list of texts/],
    [
      'types that are too few',
      { 'tokenizer.ggml.token_type': list(1) },
      /token_type has 1 entries, tokenizer\.ggml\.tokens 6/,
    ],
    [
      'a token twice',
      { 'tokenizer.ggml.tokens': list('a', 'a'), 'tokenizer.ggml.token_type': list(1, 1) },
      /"a" stands there as 0 and as 1/,
    ],
    [
      'half a merge',
      { 'tokenizer.ggml.merges': list('a b', 'ab') },
      /merges\[1\]: expected two tokens with a space between, found "ab"/,
    ],
    ['a template that is no text', { 'tokenizer.chat_template': 7 }, /tokenizer\.chat_template: expected a text/],
  ])('is refused with %s', (_, change, message) => {
    expect(() => filesOf(change)).toThrow(UserError);
    expect(() => filesOf(change)).toThrow(message);
  });

  it('that cannot be used says how to go on', () => {
    for (const change of [{ 'tokenizer.ggml.pre': 'mine' }, { 'tokenizer.ggml.model': 'llama' }])
      try {
        filesOf(change);
        expect.unreachable();
      } catch (error) {
        expect((error as UserError).hint).toMatch(/--tokenizer/);
      }
  });
});

describe('rules of splitting', () => {
  it('have one name each way', () => {
    for (const name of ruleNames) {
      const { pre_tokenizer, ignoreMerges } = splittingOf(name)!;
      const back = ruleNameOf(pre_tokenizer, ignoreMerges)!;
      expect(splittingOf(back)!.pre_tokenizer).toEqual(pre_tokenizer);
      expect(() =>
        tokenizerOf({ 'tokenizer.ggml.pre': name }).encode("It's 123½ ten\n\n  Ⅷ tests, 漢字 <|x|>"),
      ).not.toThrow();
    }
    expect(new Set(ruleNames).size).toBe(ruleNames.length);
  });

  it('are known by what they do, not how they are written', () => {
    const level = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: true };
    expect(ruleNameOf({ type: 'Sequence', pretokenizers: [level] }, false)).toBe('gpt-2');
    expect(ruleNameOf({ ...level, add_prefix_space: true }, false)).toBeUndefined();
    expect(ruleNameOf({ type: 'WhitespaceSplit' }, false)).toBeUndefined();
    expect(ruleNameOf(null, false)).toBeUndefined();
  });
});

describe('what GGUF has no form for', async () => {
  const files = await readTokenizerFiles(llama);
  const json = JSON.parse(files.json);

  it.each<[string, object, RegExp]>([
    ['whole words', JSON.parse(worldTokenizerJson()), /no byte-level BPE/],
    ['a splitting of its own', { ...json, pre_tokenizer: { type: 'Whitespace' } }, /a rule of its own/],
    ['lower case', { ...json, normalizer: { type: 'Lowercase' } }, /normalises text \("Lowercase"\)/],
    ['bytes to fall back to', { ...json, model: { ...json.model, byte_fallback: true } }, /falls back to bytes/],
    [
      'two tokens in front',
      {
        ...json,
        post_processor: {
          ...json.post_processor,
          single: [json.post_processor.single[0], ...json.post_processor.single],
        },
      },
      /puts 2 tokens in front/,
    ],
  ])('is refused: %s', (_, tokenizer, message) => {
    const convert = () => tokenizerMetadata({ ...files, json: JSON.stringify(tokenizer) }, config);
    expect(convert).toThrow(UserError);
    expect(convert).toThrow(message);
  });
});

describe.skipIf(lacks('data', 'tokenizers', 'qwen2.5'))("Qwen2.5's tokenizer", () => {
  it('comes back from GGUF metadata as it was', async () => {
    const files = await readTokenizerFiles(shared('data', 'tokenizers', 'qwen2.5'));
    const { specialTokens: _, ...shape } = config;
    const qwen: ModelConfig = { ...shape, vocabulary: 151_936, family: 'qwen2' };
    const written = tokenizerMetadata(files, qwen);
    const values = new Map<string, Value>();
    for (const [key, { type, value }] of written)
      values.set(
        key,
        type === 'STRINGS' || type === 'INT32S' ? { length: value.length, values: () => [...value] } : value,
      );
    expect(values.get('tokenizer.ggml.pre')).toBe('qwen2');
    const back = tokenizerFilesOf(new Metadata('m', values), 'm', qwen);
    const [before, after] = [tokenizerFromJson(files.json, files), tokenizerFromJson(back.json, back)];
    const { cases } = JSON.parse(
      readFileSync(shared('data', 'tokenizers', 'qwen2.5', 'expected_ids.published.json'), 'utf8'),
    );
    for (const { text, ids } of cases) expect(after.encode(text)).toEqual(ids);
    expect(after.pieces).toEqual(before.pieces);
    expect([after.endTokens, after.start, after.chat('Who?')]).toEqual([
      before.endTokens,
      before.start,
      before.chat('Who?'),
    ]);
  });
});
