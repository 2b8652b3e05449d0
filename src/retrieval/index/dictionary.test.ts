import fc from 'fast-check';
import { expect, test } from 'vitest';
import { slotCount, termId, termOf } from './dictionary.ts';
import { indexTexts } from './in-memory.ts';

/** An analyzer that takes the text as words, whatever they are. */
const split = (text: string) => text.split(' ').filter((word) => word !== '');

test('finds every term and nothing else', () => {
  const word = fc.oneof(
    fc.string({ minLength: 1, maxLength: 3 }),
    fc.string({ unit: 'grapheme', minLength: 1 }),
    fc.constantFrom('a', 'aa', 'é', 'x'.repeat(300)),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 60 }), fc.array(word), (words, others) => {
      const terms = [...new Set(words.flatMap(split))].filter((term) => term.isWellFormed()).sort();
      const { dictionary } = indexTexts([terms.join(' ')], split, 'exact');
      expect(terms.map((term) => termId(dictionary, term))).toEqual(terms.map((_, i) => i));
      expect(terms.map((_, i) => termOf(dictionary, i))).toEqual(terms);
      for (const other of [...others, '', ...terms.map((term) => `${term}!`)].filter((text) => text.isWellFormed()))
        expect(termId(dictionary, other)).toBe(terms.indexOf(other));
    }),
  );
});

test('at least half of the slots stay empty', () => {
  for (const terms of [0, 1, 2, 3, 1000, 1024, 1025]) {
    const slots = slotCount(terms);
    expect(slots).toBeGreaterThanOrEqual(Math.max(1, 2 * terms));
    expect(Math.log2(slots) % 1).toBe(0);
  }
});
