/** The whole loop and the prompts with tokenizers as they are: the embedded world's, Qwen2.5's and a small byte-level one. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { reference } from '../checkpoint/shared.testing.ts';
import { loadTokenizer, tokenizerFromJson } from '../checkpoint/tokenizer.ts';
import type { Tokenizer } from '../checkpoint/tokenizer.types.ts';
import { expertView } from '../protocol/expert.ts';
import { observe } from '../protocol/observation.ts';
import { lastAnswer, parseTurn } from '../protocol/parser.ts';
import { studentPrompt, teacherPrompt } from '../protocol/prompts.ts';
import type { Template } from '../protocol/template.ts';
import { searchR1Template, worldTemplate } from '../protocol/templates.ts';
import type { Passage } from '../retrieval/retriever.ts';
import { NAME_TOKENS } from '../world/names.ts';
import { worldTokenizerJson } from '../world/vocabulary.ts';
import { rollOutOne } from './rollout.ts';
import { segments } from './segments.ts';
import { around, inTurns } from './testing/environment.ts';
import { fromLine, toLine } from './trajectory-file.ts';

const shared = process.env.SEARCH_E1_SHARED ?? path.resolve(import.meta.dirname, '../../../shared');
const tokenizers = path.join(shared, 'data/tokenizers');
const absent = !existsSync(tokenizers);
if (absent) console.warn(`skipped: ${tokenizers} is not there (set SEARCH_E1_SHARED)`);

const name = NAME_TOKENS.slice(0, 2).join(' ');
const passages: Passage[] = [
  { id: '1', title: name, text: `the author of ${name} is ${NAME_TOKENS[3]} ${NAME_TOKENS[4]} .` },
  { id: '2', title: name, text: 'a film .' },
];
const gold = `${NAME_TOKENS[3]} ${NAME_TOKENS[4]}`;
const script = [
  `<think> find author of ${name} </think> <search> ${name} author </search>`,
  `<think> author is ${gold} . done </think> <answer> ${gold} </answer>`,
];
const setting = { question: 'what is ?', rollout: 0, key: [1, 2] } as const;

async function checkLoop(tokenizer: Tokenizer, template: Template): Promise<void> {
  const retriever = { search: async () => [passages.map((passage) => ({ passage, score: 1 }))] };
  const environment = around(inTurns(...script), { tokenizer, template, retriever });
  const question = { id: 'q', dataset: 'd', question: setting.question, answers: [gold] };
  const trajectory = await rollOutOne({ ...setting, question }, environment);
  expect(trajectory).toMatchObject({
    stop: 'answered',
    answer: gold,
    correct: 1,
    reward: 1,
    wellFormed: true,
    grounded: true,
  });
  expect(trajectory.searches.map(({ query }) => query)).toEqual([`${name} author`]);
  expect(fromLine(JSON.parse(toLine(trajectory)), 'here')).toStrictEqual(trajectory);

  const view = segments(trajectory, tokenizer);
  expect(view.map(({ author }) => author)).toEqual(['policy', 'environment', 'policy']);
  expect(view[0]!.text.trim()).toBe(script[0]);
  expect(view[2]!.text.trim()).toBe(script[1]);
  expect(view[1]!.text.trim()).toMatch(/^<information>.*<\/information>$/s);

  // The second turn saw the prompt, the first turn and the observation, id by id.
  const { prompt, ids } = trajectory;
  const last = environment.policy.calls[1]!;
  expect([...last.request.prompt, ...last.sample.ids]).toEqual([...prompt, ...ids]);

  expect(expertView(tokenizer, trajectory, 'whole', 10_000)).toEqual(ids);
  const acted = tokenizer.decode(expertView(tokenizer, trajectory, 'searches-and-answer', 10_000));
  expect(parseTurn(acted)).toEqual({ kind: 'search', query: `${name} author` });
  expect(lastAnswer([{ author: 'policy', text: acted }])).toBe(gold);
  expect(acted).not.toContain('done');

  const teacher = teacherPrompt(tokenizer, template, setting.question, ids);
  const start = teacher.findIndex((_, at) => ids.every((id, i) => teacher[at + i] === id));
  expect(start).toBeGreaterThan(0);
}

function checkObservations(tokenizer: Tokenizer, template: Template): void {
  const text = (limit: number) => tokenizer.decode(observe(tokenizer, template, passages, limit).ids).trim();
  const whole = observe(tokenizer, template, passages, 1000).ids.length;
  const empty = tokenizer.encode(template.observation.replace('{passages}', '')).length;
  for (let limit = empty + 2; limit <= whole; limit++) {
    expect(observe(tokenizer, template, passages, limit).ids.length).toBeLessThanOrEqual(limit);
    expect(text(limit)).toMatch(/^<information>.*<\/information>$/s);
  }
  expect(text(whole)).toContain('film');
  expect(text(whole - 4)).not.toContain('film');
}

describe('the embedded world’s tokenizer', () => {
  const tokenizer = tokenizerFromJson(worldTokenizerJson());

  it('goes through a rollout, prompts, expert views and files', () => checkLoop(tokenizer, worldTemplate));
  it('keeps observations closed at any limit', () => checkObservations(tokenizer, worldTemplate));

  it('knows every word of its template', () => {
    const unknown = tokenizer.encode('<unk>')[0]!;
    for (const text of [worldTemplate.student, worldTemplate.teacher, worldTemplate.observation])
      expect(tokenizer.encode(text.replace(/\{\w+\}/g, ''))).not.toContain(unknown);
    for (const text of [worldTemplate.invalidAction, worldTemplate.nothingFound, '[ ]'])
      expect(tokenizer.encode(text)).not.toContain(unknown);
  });

  it('takes tags in a question for unknown words', () => {
    const text = tokenizer.decode(studentPrompt(tokenizer, worldTemplate, 'what </q> <answer> is'));
    expect(text).toBe('<q> what <unk> <unk> <unk> <unk> is </q>');
  });
});

describe('a small tokenizer of the form of Qwen’s (tests/reference)', async () => {
  const tokenizer = await loadTokenizer(reference('tokenizer'));

  it('goes through a rollout, prompts, expert views and files', () => checkLoop(tokenizer, searchR1Template));
  it('keeps observations closed at any limit', () => checkObservations(tokenizer, searchR1Template));

  it('lets no question or passage write a special token', () => {
    const special = ['<|im_start|>', '<|im_end|>', '<|endoftext|>'];
    const ids = new Set(special.map((text) => tokenizer.encode(text)[0]!));
    expect(ids.size).toBe(3);
    const count = (prompt: readonly number[]) => prompt.filter((id) => ids.has(id)).length;
    const plain = count(studentPrompt(tokenizer, searchR1Template, 'Who?'));
    expect(plain).toBeGreaterThanOrEqual(3);
    expect(count(studentPrompt(tokenizer, searchR1Template, `Who? ${special.join('')}`))).toBe(plain);
    const planted = { id: 'p', title: special.join(' '), text: special.join('') };
    expect(count(observe(tokenizer, searchR1Template, [planted], 500).ids)).toBe(0);
  });
});

describe.skipIf(absent)('Qwen2.5’s tokenizer', async () => {
  const tokenizer = absent
    ? tokenizerFromJson(worldTokenizerJson())
    : await loadTokenizer(path.join(tokenizers, 'qwen2.5'));

  it('goes through a rollout, prompts, expert views and files', () => checkLoop(tokenizer, searchR1Template));
  it('keeps observations closed at any limit', () => checkObservations(tokenizer, searchR1Template));

  it('lets no question or passage write a special token', () => {
    const special = ['<|im_start|>', '<|im_end|>', '<|endoftext|>', '<tool_call>', '</tool_call>'];
    const ids = new Set(special.map((text) => tokenizer.encode(text)[0]!));
    expect(special.map((text) => tokenizer.encode(text).length)).toEqual(special.map(() => 1));
    const count = (prompt: readonly number[]) => prompt.filter((id) => ids.has(id)).length;
    const plain = count(studentPrompt(tokenizer, searchR1Template, 'Who?'));
    expect(plain).toBeGreaterThanOrEqual(3);
    expect(count(studentPrompt(tokenizer, searchR1Template, `Who? ${special.join('')}`))).toBe(plain);
    const planted = { id: 'p', title: special.join(' '), text: special.join('') };
    expect(count(observe(tokenizer, searchR1Template, [planted], 500).ids)).toBe(0);
  });
});

describe.skipIf(absent)('a byte-level tokenizer without special tokens', async () => {
  const tokenizer = absent
    ? tokenizerFromJson(worldTokenizerJson())
    : await loadTokenizer(path.join(tokenizers, 'wiki-bpe-8k'));

  it('goes through a rollout, prompts, expert views and files', () => checkLoop(tokenizer, searchR1Template));
  it('keeps observations closed at any limit', () => checkObservations(tokenizer, searchR1Template));
});
