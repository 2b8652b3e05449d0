import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { observe } from '../protocol/observation.ts';
import { studentPrompt, teacherPrompt } from '../protocol/prompts.ts';
import { searchR1Template } from '../protocol/templates.ts';
import { worldTokenizerJson } from '../world/vocabulary.ts';
import { type AddedToken, isControl } from './added-tokens.ts';
import { encodeFromStart, encodeMarked, foreign } from './foreign.ts';
import { lacks, shared } from './shared.testing.ts';
import { tokenizerFromJson } from './tokenizer.ts';
import type { Tokenizer } from './tokenizer.types.ts';

const file = path.join(import.meta.dirname, 'testing', 'tokenizers.json');
const { 'specials as text': truth, base, processors } = JSON.parse(readFileSync(file, 'utf8'));

describe('text of others', () => {
  it("is encoded as Hugging Face's own library encodes it when told to take special tokens for text", () => {
    const tokenizer = tokenizerFromJson(JSON.stringify(truth.tokenizer));
    const special = (ids: readonly number[]) => ids.filter((id) => id >= 263).length;
    for (const [text, ids] of Object.entries(truth.ids)) {
      expect(tokenizer.encode(text, [[0, text.length]])).toEqual(ids);
      expect(special(tokenizer.encode(text)) > 0).toBe(/INST\]|s>|‖/.test(text));
    }
  });

  it('keeps the control tokens of the text around it, and the ids of text without any', () => {
    const tokenizer = tokenizerFromJson(JSON.stringify(truth.tokenizer));
    const [open, close] = [tokenizer.encode('[INST]')[0]!, tokenizer.encode('[/INST]')[0]!];
    const encode = (text: string) => encodeMarked(tokenizer, `[INST] ${foreign(text)} [/INST]`);
    expect(encode('hi')).toEqual(tokenizer.encode('[INST] hi [/INST]'));
    expect(encode('[/INST]').filter((id) => id === open || id === close)).toEqual([open, close]);
    expect(tokenizer.decode(encode('[/INST]'))).toBe('[INST] [/INST] [/INST]');
    // The marks never stand in a text, not even where somebody wrote them.
    expect(encode('h\uFDD1\uFDD0i')).toEqual(encode('hi'));
    expect(foreign('  ')).toBe('  ');
    expect(foreign(' a\n')).toBe(' \uFDD0a\uFDD1\n');
  });
});

describe('the beginning of a prompt', () => {
  const { post_processor } = processors['a template with a beginning'];
  const tokenizer = tokenizerFromJson(JSON.stringify({ ...base, post_processor }));
  const template = { ...searchR1Template, chat: false };

  it('stands there once where no chat template has made it, for student and teacher', () => {
    expect(encodeFromStart(tokenizer, 'x')).toEqual([258, ...tokenizer.encode('x')]);
    expect(encodeFromStart(tokenizer, '<|bos|>x')).toEqual([258, ...tokenizer.encode('x')]);
    expect(encodeFromStart(tokenizer, foreign('<|bos|>'))[1]).not.toBe(258);
    for (const ids of [
      studentPrompt(tokenizer, template, 'Who?'),
      teacherPrompt(tokenizer, template, 'Who?', [1, 2]),
    ]) {
      expect(ids[0]).toBe(258);
      expect(ids.filter((id) => id === 258)).toHaveLength(1);
    }
  });

  it('is left to the chat template where there is one', () => {
    const json = JSON.stringify({ ...base, post_processor });
    for (const [chatTemplate, start] of [
      ['<|bos|>{{ messages[0].content }}', 258],
      ['{{ messages[0].content }}', tokenizer.encode('A')[0]],
    ] as const) {
      const chatting = tokenizerFromJson(json, { chatTemplate });
      const ids = studentPrompt(chatting, searchR1Template, 'Who?');
      expect(ids[0]).toBe(start);
      expect(ids.filter((id) => id === 258)).toHaveLength(start === 258 ? 1 : 0);
      expect(teacherPrompt(chatting, searchR1Template, 'Who?', [1]).slice(0, 20)).toEqual(ids.slice(0, 20));
    }
  });
});

/** Whatever an outsider writes, alone or so that it goes on into what stands behind or in front of it. */
function checkAll(tokenizer: Tokenizer, added: readonly AddedToken[], spare: readonly string[] = []): void {
  const controls = added.filter((token) => isControl(token) && !spare.includes(token.content));
  expect(controls.length).toBeGreaterThan(3);
  const ids = new Set(controls.map(({ id }) => id));
  const count = (found: readonly number[]) => found.filter((id) => ids.has(id)).length;
  for (const { content } of controls) {
    const cuts = Array.from({ length: content.length + 1 }, (_, i) => [content.slice(0, i), content.slice(i)] as const);
    for (const [before, behind] of [...cuts, [`x${content}`, content] as const]) {
      const around = { ...searchR1Template, student: `a${before}{question}${behind}b`, passage: '{title}{text}' };
      // What the template itself says is the user's own; only one more than that would be somebody else's.
      const own = count(studentPrompt(tokenizer, around, 'x'));
      for (const question of [content, before, behind])
        expect({ question, count: count(studentPrompt(tokenizer, around, question)) }).toEqual({
          question,
          count: own,
        });
      const passage = { id: 'p', title: before, text: behind };
      expect(count(observe(tokenizer, around, [passage], 5000).ids)).toBe(
        count(observe(tokenizer, around, [], 5000).ids),
      );
      const teacher = { ...around, teacher: `${behind}{question}${before} {expert} {question}` };
      expect(count(teacherPrompt(tokenizer, teacher, content, []))).toBe(
        count(teacherPrompt(tokenizer, teacher, 'x', [])),
      );
    }
  }
}

describe('no added control token comes from questions, titles and passages', () => {
  const added = (texts: readonly (readonly [string, boolean])[], first: number) =>
    texts.map(([content, special], i) => ({ id: first + i, content, special, normalized: false }));
  const tokens = added(
    [
      ['[INST]', true],
      ['[/INST]', true],
      ['‖', true],
      ['INST', true],
      ['  ', false],
      ['COVID-19', false],
      ['<tool_call>', false],
      ['{{x}}', false],
      ['end of turn', true],
    ],
    256,
  );
  const chatTemplate = '[INST]{{ messages[0].content }}[/INST]';

  it('of a byte-level tokenizer', () => {
    const tokenizer = tokenizerFromJson(JSON.stringify({ ...base, added_tokens: tokens }), { chatTemplate });
    checkAll(tokenizer, tokens);
    // Words that a vocabulary was extended by are words.
    expect(encodeMarked(tokenizer, foreign('COVID-19'))).toEqual([261]);
  });

  it('that stand in the model vocabulary too, found without splitting', () => {
    const vocab = { ...base.model.vocab, ...Object.fromEntries(tokens.map(({ content, id }) => [content, id])) };
    const json = {
      ...base,
      added_tokens: tokens,
      model: { ...base.model, vocab, ignore_merges: true },
      pre_tokenizer: null,
    };
    checkAll(tokenizerFromJson(JSON.stringify(json), { chatTemplate }), tokens);
  });

  it('that other characters are normalised to', () => {
    const normalized = tokens.map((token) => ({ ...token, normalized: true }));
    const json = { ...base, added_tokens: normalized, normalizer: { type: 'NFKC' } };
    const tokenizer = tokenizerFromJson(JSON.stringify(json), { chatTemplate });
    checkAll(tokenizer, normalized);
    expect(tokenizer.encode('［INST］')).toEqual([256]);
    expect(encodeMarked(tokenizer, foreign('［INST］'))).not.toContain(256);
    expect(encodeMarked(tokenizer, `[INST]${foreign('［INST］')}`).filter((id) => id === 256)).toHaveLength(1);
  });

  it('of a unigram vocabulary', () => {
    const vocab = [['<unk>', 0], ...'abcdefghijklmnopqrstuvwxyzACDINOSTVQ1-9/[]{}<>‖_ .,:?\n()'].map((entry) =>
      typeof entry === 'string' ? [entry, -1] : entry,
    );
    const words = [...vocab, ...tokens.map(({ content }) => [content, -0.1])];
    const shifted = tokens.map((token, i) => ({ ...token, id: vocab.length + i }));
    const model = { type: 'Unigram', unk_id: 0, vocab: words };
    const json = { ...base, added_tokens: shifted, pre_tokenizer: null, decoder: null, model };
    checkAll(tokenizerFromJson(JSON.stringify(json), { chatTemplate }), shifted);
  });

  it('of the embedded world', () => {
    const json = worldTokenizerJson();
    // What is unknown becomes <unk>, whoever wrote it.
    checkAll(tokenizerFromJson(json), JSON.parse(json).added_tokens, ['<unk>']);
  });

  it.skipIf(lacks('data', 'tokenizers', 'qwen2.5'))('of Qwen2.5', () => {
    const read = (name: string) => readFileSync(shared('data', 'tokenizers', 'qwen2.5', name), 'utf8');
    const json = read('tokenizer.json');
    checkAll(tokenizerFromJson(json, { config: read('tokenizer_config.json') }), JSON.parse(json).added_tokens);
  });

  it.skipIf(lacks('cases', 'models', 'k_inst'))('of a model with [INST]', () => {
    for (const name of ['k_inst', 'q_inst']) {
      const read = (part: string) => readFileSync(shared('cases', 'models', name, part), 'utf8');
      const json = read('tokenizer.json');
      checkAll(tokenizerFromJson(json, { config: read('tokenizer_config.json') }), JSON.parse(json).added_tokens);
    }
  });
});
