import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type PartKind, TagReader } from './tag-reader.ts';

/** The parts of the pieces, neighbours of one kind joined. */
function read(...pieces: string[]): [PartKind, string][] {
  const parts: [PartKind, string][] = [];
  const reader = new TagReader((kind, text) => {
    const last = parts.at(-1);
    if (last?.[0] === kind) last[1] += text;
    else parts.push([kind, text]);
  });
  for (const piece of pieces) reader.read(piece);
  reader.end();
  return parts;
}

it('tells the parts of a turn apart', () => {
  expect(read('<think> a < b </think>\n<search> q </search> tail')).toEqual([
    ['think', ' a < b '],
    ['other', '\n'],
    ['search', ' q '],
    ['other', ' tail'],
  ]);
  expect(read('no tags <b> at all </th')).toEqual([['other', 'no tags <b> at all </th']]);
  expect(read('<answer>x')).toEqual([['answer', 'x']]);
});

it('reads the same however the text is cut into pieces', () => {
  const part = fc.constantFrom(
    '<think>',
    '</think>',
    '<search>',
    '</search>',
    '<answer>',
    '<',
    '</',
    'th',
    'ink>',
    ' a ',
    '<b>',
  );
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1 }),
      (parts, cuts) => {
        const text = parts.join('');
        const pieces: string[] = [];
        for (let at = 0, i = 0; at < text.length; i++) {
          const length = cuts[i % cuts.length]!;
          pieces.push(text.slice(at, at + length));
          at += length;
        }
        expect(read(...pieces)).toEqual(read(text));
      },
    ),
  );
});
