import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { readJsonLines } from '../base/files.ts';
import { lacks, reference, shared } from './shared.testing.ts';
import { loadTokenizer, tokenizerFromJson } from './tokenizer.ts';
import type { Tokenizer } from './tokenizer.types.ts';
import { readTokenizerFiles } from './tokenizer-files.ts';

/** Three tokens of one byte-level alphabet: "a", " a" and the first byte of "é". */
const SMALL = JSON.stringify({
  version: '1.0',
  added_tokens: [
    { id: 4, content: '<|im_end|>', special: true },
    { id: 6, content: '‖', special: true },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: { a: 0, Ġ: 1, Ġa: 2, Ã: 3 }, merges: [['Ġ', 'a']], unk_token: null },
});

const joined = (tokenizer: Tokenizer, ids: readonly number[]) => ids.map((id) => tokenizer.pieces[id]).join('');
const latin1 = (text: string) => Buffer.from(text, 'utf8').toString('latin1');

describe('tokenizerFromJson', () => {
  const tokenizer = tokenizerFromJson(SMALL);

  it('encodes, decodes and gives the bytes of each id', () => {
    expect(tokenizer.encode('a a  a<|im_end|>')).toEqual([0, 2, 1, 2, 4]);
    expect(tokenizer.decode([0, 2, 4, 6])).toBe('a a<|im_end|>‖');
    expect(tokenizer.pieces).toEqual(['a', ' ', ' a', '\u00c3', '<|im_end|>', '', latin1('‖')]);
    expect(tokenizer.vocabulary).toBe(7);
    expect([tokenizer.encode(''), tokenizer.decode([])]).toEqual([[], '']);
  });

  it('passes over ids without a token, which padded embeddings have', () => {
    expect(tokenizer.decode([5, 0, 999])).toBe('a');
    expect(tokenizer.decode([999])).toBe('');
  });

  it('ends turns with the configured token and <|im_end|>, each once', () => {
    expect(tokenizer.endTokens).toEqual([4]);
    expect(tokenizerFromJson(SMALL, { config: '{"eos_token": "‖"}' }).endTokens).toEqual([6, 4]);
    const asObject = '{"eos_token": {"content": "<|im_end|>", "lstrip": false}}';
    expect(tokenizerFromJson(SMALL, { config: asObject }).endTokens).toEqual([4]);
    const plain = tokenizerFromJson(SMALL);
    for (const [generation, ids] of [
      ['{"eos_token_id": 5, "temperature": 0.6}', [4, 5]],
      ['{"eos_token_id": [6, 4]}', [4, 6]],
      ['{"eos_token_id": null}', [4]],
    ] as const)
      expect(tokenizerFromJson(SMALL, { generation }).endTokens).toEqual(ids);
    expect(tokenizerFromJson(SMALL, { generation: '{"eos_token_id": 5}' }).hash).not.toBe(plain.hash);
    expect(tokenizerFromJson(SMALL, { generation: '{}' }).hash).toBe(plain.hash);
    expect(() => tokenizerFromJson(SMALL, { generation: '{"eos_token_id": "x"}' })).toThrow(
      /generation_config\.json: eos_token_id/,
    );
  });

  it('takes the chat template from either place', () => {
    const chatTemplate = '{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}{{ eos_token }}';
    const config = JSON.stringify({ eos_token: '‖', chat_template: 'other' });
    expect(tokenizer.chat('hi')).toBeUndefined();
    expect(tokenizerFromJson(SMALL, { config, chatTemplate }).chat('hi {{ x }}')).toBe('user: hi {{ x }}‖');
    expect(tokenizerFromJson(SMALL, { config }).chat('hi')).toBe('other');
    const several = JSON.stringify({
      chat_template: [
        { name: 'tool_use', template: 'tools' },
        { name: 'default', template: '{{ add_generation_prompt }}' },
      ],
    });
    expect(tokenizerFromJson(SMALL, { config: several }).chat('hi')).toBe('true');
  });

  it('has a hash of vocabulary and template', () => {
    const hashes = [
      tokenizer,
      tokenizerFromJson(`${SMALL} `),
      tokenizerFromJson(SMALL, { chatTemplate: 'x' }),
      tokenizerFromJson(SMALL),
    ].map(({ hash }) => hash);
    expect(hashes[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(hashes).size).toBe(3);
    expect(hashes[3]).toBe(hashes[0]);
  });

  it.each<[string, string, { config?: string; chatTemplate?: string }, RegExp]>([
    ['text that is not JSON', '{', {}, /^t\/tokenizer\.json: not valid JSON/],
    ['another kind of file', '{"vocab_size": 3}', {}, /^t\/tokenizer\.json: model: /],
    [
      'an unknown model',
      SMALL.replace('"BPE"', '"Magic"').replace('"vocab"', '"v"'),
      {},
      /^t\/tokenizer\.json: model\.type: Invalid option/,
    ],
    ['a damaged configuration', SMALL, { config: '[]' }, /^t\/tokenizer_config\.json: /],
    ['an end token that is no text', SMALL, { config: '{"eos_token": 3}' }, /^t\/tokenizer_config\.json: eos_token: /],
    ['a broken template', SMALL, { chatTemplate: '{% if %}' }, /^t\/chat_template\.jinja: the chat template fails/],
  ])('refuses %s', (_, json, files, message) => {
    const make = () => tokenizerFromJson(json, files, path.join('t', 'tokenizer.json'));
    expect(make).toThrow(UserError);
    expect(make).toThrow(message);
  });

  it('reports a template that refuses the conversation', () => {
    const refusing = tokenizerFromJson(SMALL, { config: '{"chat_template": "{{ raise_exception(\'no users\') }}"}' });
    expect(() => refusing.chat('hi')).toThrow(/^tokenizer_config\.json: the chat template fails \(.*no users/);
  });
});

describe('the start of a text', () => {
  const file = path.join(import.meta.dirname, 'testing', 'tokenizers.json');
  const { base, processors } = JSON.parse(readFileSync(file, 'utf8')) as {
    base: object;
    processors: Record<string, { post_processor: unknown; ids: Record<string, number[]> }>;
  };

  it.each(Object.entries(processors))(
    "is what Hugging Face's own library puts there: %s",
    (_, { post_processor, ids }) => {
      const tokenizer = tokenizerFromJson(JSON.stringify({ ...base, post_processor }));
      // What the library puts behind a text would end what is to be continued.
      const end = (ids.hello!.at(-1) ?? 0) >= 256 ? 1 : 0;
      for (const [text, expected] of Object.entries(ids))
        expect([...tokenizer.start, ...tokenizer.encode(text)]).toEqual(expected.slice(0, expected.length - end));
    },
  );

  it('is one token, then two, of the templates that begin with as many', () => {
    const start = (name: string) =>
      tokenizerFromJson(JSON.stringify({ ...base, post_processor: processors[name]!.post_processor })).start;
    expect(start('a template with a beginning')).toEqual([258]);
    expect(start('a template with beginning and end')).toEqual([258, 256]);
  });
});

describe('end tokens', () => {
  const config = '{"eos_token": "‖"}';

  it('are those of all three files, and stand in the hash', () => {
    const none = tokenizerFromJson(SMALL, { config });
    const all = tokenizerFromJson(SMALL, {
      config,
      generation: '{"eos_token_id": 5}',
      model: '{"eos_token_id": [3, 5]}',
    });
    expect(all.endTokens).toEqual([6, 4, 5, 3]);
    const hashes = ['{}', '{"eos_token_id": null}', '{"eos_token_id": 3}', '{"eos_token_id": [3]}'].map(
      (model) => tokenizerFromJson(SMALL, { config, model }).hash,
    );
    expect(hashes.map((hash) => hash === none.hash)).toEqual([true, true, false, false]);
    expect(() => tokenizerFromJson(SMALL, { model: '{"eos_token_id": "x"}' })).toThrow(/^config\.json: eos_token_id/);
  });

  it('are noted where the template ends turns with another one', () => {
    const json = SMALL.replaceAll('<|im_end|>', '<|eot|>');
    const chatTemplate = '{% for m in messages %}{{ m.content + "<|eot|>" }}{% endfor %}';
    expect(tokenizerFromJson(json, { config, chatTemplate }).notes).toEqual([
      expect.stringMatching(/^chat_template\.jinja: the chat template ends a turn with "<\|eot\|>", which none/),
    ]);
    for (const files of [{ generation: '{"eos_token_id": 4}' }, { model: '{"eos_token_id": [4]}' }])
      expect(tokenizerFromJson(json, { config, chatTemplate, ...files }).notes).toEqual([]);
    expect(tokenizerFromJson(json, { config, chatTemplate: '{{ messages[0].content }}' }).notes).toEqual([]);
    const refusing = '{% if messages | length > 1 %}{{ raise_exception("one") }}{% endif %}x';
    expect(tokenizerFromJson(json, { config, chatTemplate: refusing }).notes).toEqual([]);
  });
});

describe('a tokenizer that cannot be right', () => {
  const withVocab = (vocab: object) => SMALL.replace('"a":0', `"a":0,${JSON.stringify(vocab).slice(1, -1)}`);

  it('with ids beyond the rows of the model is refused when it is loaded', () => {
    expect(tokenizerFromJson(SMALL, { model: '{"vocab_size": 7}' }).vocabulary).toBe(7);
    const load = () => tokenizerFromJson(SMALL, { model: '{"vocab_size": 6}' }, path.join('t', 'tokenizer.json'));
    expect(load).toThrow(/^t.tokenizer\.json: the token "‖" has id 6, but the model knows 6 ids only/);
  });

  it.each([
    [
      'an id far out',
      { zzz: 4294967294 },
      /model\.vocab: the token "zzz" has id 4294967294, expected a whole number below 4194304/,
    ],
    ['2^31', { zzz: 2 ** 31 }, /id 2147483648/],
    ['a negative id', { zzz: -1 }, /id -1/],
    ['a fraction', { zzz: 1.5 }, /id 1\.5/],
    ['a text for an id', { zzz: 'x'.repeat(1e6) }, /has id "x{58}…, expected/],
    ['a list for an id', { zzz: [1] }, /id \[1\], expected/],
  ])('is refused: %s', (_, vocab, message) => {
    expect(() => tokenizerFromJson(withVocab(vocab))).toThrow(UserError);
    expect(() => tokenizerFromJson(withVocab(vocab))).toThrow(message);
  });

  it('is refused: an added token far out', () => {
    expect(() => tokenizerFromJson(SMALL.replace('"id":6', '"id":4294967294'))).toThrow(/added_tokens\.1\.id/);
  });

  it('has several chat templates and no default: it is refused when one is asked for', () => {
    const config = '{"chat_template": [{"name": "rag", "template": "x"}, {"name": "tool_use", "template": "y"}]}';
    const tokenizer = tokenizerFromJson(SMALL, { config }, path.join('t', 'tokenizer.json'));
    expect(() => tokenizer.chat('hi')).toThrow(UserError);
    expect(() => tokenizer.chat('hi')).toThrow(
      /^t.tokenizer_config\.json: .*"rag", "tool_use".*none of them "default"/,
    );
    expect(tokenizerFromJson(SMALL, { config, chatTemplate: 'z' }).chat('hi')).toBe('z');
    expect(tokenizerFromJson(SMALL, { config: '{"chat_template": []}' }).chat('hi')).toBeUndefined();
  });
});

describe('loadTokenizer', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'search-e1-tokenizer-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('takes a file or a folder, with what stands beside it', async () => {
    await expect(loadTokenizer(folder)).rejects.toThrow(/tokenizer\.json: no such file/);
    await expect(loadTokenizer(path.join(folder, 'none'))).rejects.toThrow(/none: no such file/);
    const file = path.join(folder, 'tokenizer.json');
    await writeFile(file, SMALL);
    expect((await loadTokenizer(folder)).chat('x')).toBeUndefined();
    await writeFile(path.join(folder, 'chat_template.jinja'), '<{{ messages[0].content }}>');
    await writeFile(path.join(folder, 'tokenizer_config.json'), '{"eos_token": "‖"}');
    for (const place of [folder, file]) {
      const tokenizer = await loadTokenizer(place);
      expect([tokenizer.chat('x'), tokenizer.endTokens]).toEqual(['<x>', [6, 4]]);
      expect(await readTokenizerFiles(place)).toEqual({
        json: SMALL,
        config: '{"eos_token": "‖"}',
        chatTemplate: '<{{ messages[0].content }}>',
      });
    }
    await copyFile(file, path.join(folder, 'tokenizer_config.json'));
    await writeFile(file, 'no JSON');
    await expect(loadTokenizer(folder)).rejects.toThrow(`${file}: not valid JSON`);
  });
});

/** A few passages of the real corpus, spread over it. */
async function passages(): Promise<string[]> {
  const texts: string[] = [];
  for await (const { line, value } of readJsonLines(shared('data', 'corpus', 'wiki-passages.jsonl.gz'))) {
    if (line % 10 === 0) texts.push((value as { text: string }).text);
    if (texts.length === 300) break;
  }
  return texts;
}

/** Any text, tags and spaces more often than chance has them. */
const texts = fc
  .array(fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom(' ', '\n', '</search>', '<|im_end|>', 'the')))
  .map((parts) => parts.join(''));

describe('a small tokenizer of the form of Qwen’s (tests/reference)', () => {
  const folder = reference('tokenizer');
  const read = async () => ({
    tokenizer: await loadTokenizer(folder),
    expected: JSON.parse(await readFile(path.join(folder, 'expected.json'), 'utf8')) as {
      vocabulary: number;
      messages: { role: 'user' | 'assistant'; content: string }[];
      chat: string;
      chat_ids: number[];
      cases: { text: string; ids: number[]; decoded: string }[];
    },
  });

  it('gives the ids and texts that transformers gives', async () => {
    const { tokenizer, expected } = await read();
    expect(tokenizer.vocabulary).toBe(expected.vocabulary);
    expect(expected.cases.length).toBeGreaterThan(10);
    for (const { text, ids, decoded } of expected.cases) {
      expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
      expect(tokenizer.decode(ids)).toBe(decoded);
      expect(joined(tokenizer, ids)).toBe(latin1(decoded));
    }
  });

  it('puts messages into the chat template as transformers does', async () => {
    const { tokenizer, expected } = await read();
    expect(tokenizer.chat(expected.messages)).toBe(expected.chat);
    expect(tokenizer.encode(expected.chat)).toEqual(expected.chat_ids);
    expect(tokenizer.endTokens).toEqual(tokenizer.encode('<|im_end|>'));
  });

  it('decodes to the text in NFC, and its pieces are the bytes', async () => {
    const { tokenizer } = await read();
    fc.assert(
      fc.property(texts, (text) => {
        const ids = tokenizer.encode(text);
        // Special tokens are cut out before normalisation; the pieces between them are normalised one by one.
        const parts = text.split(/(<\|im_end\|>)/).map((part) => part.normalize('NFC'));
        expect(tokenizer.decode(ids)).toBe(parts.join(''));
        expect(joined(tokenizer, ids)).toBe(latin1(parts.join('')));
      }),
    );
  });
});

describe.skipIf(lacks('data', 'tokenizers', 'qwen2.5'))('Qwen2.5', () => {
  const folder = shared('data', 'tokenizers', 'qwen2.5');
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(folder);
  });

  it('gives the published ids', async () => {
    const { cases } = JSON.parse(await readFile(path.join(folder, 'expected_ids.published.json'), 'utf8'));
    expect(cases).toHaveLength(70);
    for (const { text, ids } of cases) expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
  });

  it('opens the assistant’s turn', () => {
    const text = '<|im_start|>user\nWho? {{ x }}<|im_end|>\n<|im_start|>assistant\n';
    expect(tokenizer.chat('Who? {{ x }}')).toBe(text);
    const turns = [
      { role: 'user', content: 'Who?' },
      { role: 'assistant', content: 'Me.' },
      { role: 'user', content: 'Why?' },
    ] as const;
    expect(tokenizer.chat(turns)).toMatch(
      /user\nWho\?<\|im_end\|>\n<\|im_start\|>assistant\n[\s\S]*Me\.<\|im_end\|>\n<\|im_start\|>user\nWhy\?<\|im_end\|>\n<\|im_start\|>assistant\n$/,
    );
    expect(tokenizer.endTokens).toEqual([151645]);
    expect(tokenizer.encode(text).filter((id) => id >= 151643)).toEqual([151644, 151645, 151644]);
  });

  it('decodes to the text in NFC, and its pieces are the bytes', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const ids = tokenizer.encode(text);
        // Special tokens are cut out before normalisation; the pieces between them are normalised one by one.
        const normal = text
          .split(/(<\|im_end\|>)/)
          .map((part) => part.normalize('NFC'))
          .join('');
        expect(tokenizer.decode(ids)).toBe(normal);
        expect(joined(tokenizer, ids)).toBe(latin1(normal));
      }),
    );
  });

  it('has one entry for each id', () => {
    expect(tokenizer.vocabulary).toBe(151669);
    expect(tokenizer.pieces).toHaveLength(151669);
    // The 256 bytes are all there, in GPT-2's order.
    expect(new Set(tokenizer.pieces.slice(0, 256)).size).toBe(256);
  });
});

describe.skipIf(lacks('data', 'tokenizers', 'wiki-bpe-8k') || lacks('data', 'corpus'))(
  'a vocabulary of 8192 tokens',
  () => {
    it('round-trips real passages, bytes included', async () => {
      const tokenizer = await loadTokenizer(shared('data', 'tokenizers', 'wiki-bpe-8k'));
      expect(tokenizer.vocabulary).toBe(8192);
      const corpus = await passages();
      expect(corpus).toHaveLength(300);
      for (const text of corpus) {
        const ids = tokenizer.encode(text);
        expect(tokenizer.decode(ids)).toBe(text);
        expect(joined(tokenizer, ids)).toBe(latin1(text));
        expect(Math.max(...ids)).toBeLessThan(8192);
      }
    });
  },
);

describe('a model that is none', () => {
  const model = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: [['a', 'b']] };
  const load = (changes: object) =>
    tokenizerFromJson(
      JSON.stringify({
        added_tokens: [],
        normalizer: null,
        pre_tokenizer: null,
        post_processor: null,
        decoder: { type: 'Fuse' },
        model: { ...model, ...changes },
      }),
    );

  // The original library refuses each of these, but for the empty vocabulary, whose texts have no tokens.
  it.each([
    ['of an unknown kind', { type: 'Magic' }, /^tokenizer\.json: model\.type: /],
    ['without a token', { vocab: {}, merges: [] }, /^tokenizer\.json: model\.vocab: holds no token/],
    [
      'whose merges need what is not there',
      {
        merges: [
          ['a', 'b'],
          ['a', 'z'],
        ],
      },
      /^tokenizer\.json: model\.merges\.1: "z" is not in/,
    ],
    ['the same in the older form', { merges: ['a z'] }, /^tokenizer\.json: model\.merges\.0: "z" is not in/],
    ['whose merge is no pair', { merges: ['a'] }, /^tokenizer\.json: model\.merges\.0: "a" is not in/],
  ])('%s is refused', (_, changes, message) => {
    expect(() => load(changes)).toThrow(message);
  });

  it('joins what merges join, in either form', () => {
    expect(load({}).encode('abba')).toEqual([2, 1, 0]);
    expect(load({ merges: ['a b'] }).encode('abba')).toEqual([2, 1, 0]);
  });
});
