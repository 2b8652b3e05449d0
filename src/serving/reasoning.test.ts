import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { RolloutEvent } from '../rollout/turns.ts';
import { Reasoning } from './reasoning.ts';

function told(events: readonly RolloutEvent[]): string {
  const pieces: string[] = [];
  const reasoning = new Reasoning((piece) => pieces.push(piece));
  for (const event of events) reasoning.see(event);
  reasoning.end();
  expect(pieces).not.toContain('');
  return pieces.join('');
}

const text = (piece: string): RolloutEvent => ({ kind: 'text', piece });
const search = (query: string, titles: readonly string[]): RolloutEvent[] => [
  { kind: 'search', query },
  {
    kind: 'found',
    search: { query, passages: titles.map((title, i) => ({ id: String(i), title, score: 1 })) },
  },
];

it('is thoughts, searches and titles, without the answer', () => {
  expect(
    told([
      text('<think> First.\n\nThen </think>\n<search> a  b </search>'),
      ...search('a  b', ['A', '']),
      { kind: 'reasoning', piece: 'deep' },
      text(' so it is'),
      { kind: 'invalid' },
      text('<search> c </search>'),
      ...search('c', []),
      text('<think>done</think> <answer> gold </answer>'),
    ]),
  ).toBe(
    'First.\n\nThen\nSearch: a b\n1. A\n2. (no title)\ndeep so it is\n' +
      '(neither a search nor an answer: asked again)\nSearch: c\n(nothing found)\ndone',
  );
  expect(told([text('<answer> gold </answer>')])).toBe('');
});

it('is the same however the text is cut into pieces', () => {
  const part = fc.constantFrom(
    '<think>',
    '</think>',
    '<answer>',
    ' gold',
    '</answer>',
    ' ',
    '\n',
    'a',
    '<',
    '<th',
    'b c ',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), fc.array(fc.nat(40), { maxLength: 6 }), (parts, cuts) => {
      const whole = parts.join('');
      const places = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length];
      const pieces = places.slice(1).map((end, i) => text(whole.slice(places[i], end)));
      expect(told(pieces)).toBe(told([text(whole)]));
    }),
  );
});
