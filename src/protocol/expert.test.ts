import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuthoredIds } from './authors.ts';
import { type ExpertView, expertView } from './expert.ts';
import { testTokenizer } from './testing/tokenizer.ts';

const tokenizer = testTokenizer();

/** A response from texts by turns: policy, environment, policy, ... */
function response(...texts: string[]): AuthoredIds {
  const parts = texts.map((text) => tokenizer.encode(text));
  return {
    ids: parts.flat(),
    mask: parts.flatMap((ids, i) => ids.map((): 0 | 1 => (i % 2 === 0 ? 1 : 0))),
  };
}

const block = (text: string) => ` <information> ${text} </information> `;
const expert = response(
  '<think> find a </think> <search> a b </search>',
  block('one two three four five six seven eight nine ten'),
  '<think> a is c </think> <search> c d </search>',
  block('short'),
  '<think> done </think> <answer> e </answer>',
);
const show = (view: ExpertView, budget = 10_000, of = expert) =>
  tokenizer.decode(expertView(tokenizer, of, view, budget));

describe('expertView', () => {
  it('shows what its name says', () => {
    expect(show('whole')).toBe(tokenizer.decode(expert.ids));
    expect(show('policy')).toBe(
      '<think> find a </think> <search> a b </search><think> a is c </think> <search> c d </search><think> done </think> <answer> e </answer>',
    );
    // The test tokenizer has a token "> <", which belongs to the thought's end and to the search's beginning: it is kept whole.
    expect(show('searches-and-answer')).toBe('> <search> a b </search>> <search> c d </search>> <answer> e </answer>');
    expect(show('searches')).toBe('> <search> a b </search>> <search> c d </search>');
  });

  it('takes no token beside an action that does not overlap it', () => {
    expect(show('searches', 100, response('so: <search> a </search> z'))).toBe('<search> a </search>');
  });

  it('leaves out turns without an action where only actions are shown', () => {
    const stray = response('hm', ' invalid ', '<answer> e </answer>');
    expect(show('searches-and-answer', 100, stray)).toBe('<answer> e </answer>');
    expect(show('searches', 100, stray)).toBe('');
  });

  it('cuts the tails of long information blocks first and closes them', () => {
    const text = show('whole', expert.ids.length - 20);
    expect(text).toMatch(/<information> one two .*<\/information> <think> a is c/);
    expect(text).not.toContain('ten');
    expect(text).toContain(block('short'));
    expect(text).toContain('<answer> e </answer>');
  });

  it('leaves out blocks that would be empty', () => {
    const spoken = expertView(tokenizer, expert, 'policy', 10_000);
    expect(expertView(tokenizer, expert, 'whole', spoken.length)).toEqual(spoken);
    expect(expertView(tokenizer, expert, 'whole', spoken.length + 5)).toEqual(spoken);
  });

  it('keeps the answer when not even the policy’s tokens fit', () => {
    const answer = tokenizer.encode('> <answer> e </answer>').length;
    const text = show('policy', answer + 8);
    expect(text.startsWith('<think> ')).toBe(true);
    expect(text.endsWith('<answer> e </answer>')).toBe(true);
    expect(show('policy', answer)).toBe('> <answer> e </answer>');
    expect(show('searches', 5).startsWith('> <')).toBe(true);
    expect(show('searches', 5)).not.toContain('answer');
    expect(show('policy', 0)).toBe('');
  });

  it('is a subsequence within the budget, for any response, view and budget', () => {
    const text = fc.constantFrom(
      '<search> a </search>',
      'hm',
      '<think> a',
      '<answer> b </answer>',
      block('a b c d e f g h'),
      block(''),
      '</information>',
    );
    const views = fc.constantFrom<ExpertView>('whole', 'policy', 'searches-and-answer', 'searches');
    fc.assert(
      fc.property(fc.array(text, { maxLength: 6 }), views, fc.nat({ max: 120 }), (texts, view, budget) => {
        const any = response(...texts);
        const ids = expertView(tokenizer, any, view, budget);
        expect(ids.length).toBeLessThanOrEqual(budget);
        let at = 0;
        for (const id of ids) {
          at = any.ids.indexOf(id, at) + 1;
          expect(at).toBeGreaterThan(0);
        }
        const all = expertView(tokenizer, any, view, Number.POSITIVE_INFINITY);
        if (all.length <= budget) expect(ids).toEqual(all);
      }),
    );
  });
});
