import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exactMatch, f1, normalizeAnswer, substringMatch } from './exact-match.ts';

/** What SQuAD's script gives for these strings under Python 3.11. */
const PYTHON: [text: string, normalized: string][] = [
  ['The Beatles!', 'beatles'],
  ['a.b', 'ab'],
  ['a.b.', 'ab'],
  ['U.S.A.', 'usa'],
  ['an apple a day', 'apple day'],
  ['The The', ''],
  ['Anthem of the Ant', 'anthem of ant'],
  ['the_end', 'theend'],
  ['the-end', 'theend'],
  ['th.e x', 'x'],
  ['th\u00e9', 'th\u00e9'],
  ['th\u00e9\u00e2tre', 'th\u00e9\u00e2tre'],
  ['\u03a9the', '\u03c9the'],
  ['the\u00b2', 'the\u00b2'],
  ['a\u00bd', 'a\u00bd'],
  ['the\u4e2d', 'the\u4e2d'],
  ['the\u0301 x', '\u0301 x'],
  ["don't", 'dont'],
  ['\u2018the\u2019 end', '\u2018 \u2019 end'],
  ['\u201cThe\u201d End\u2026', '\u201c \u201d end\u2026'],
  ['a\u00a0b\u2003c', 'b c'],
  ['x\u001cy\u0085z', 'x y z'],
  ['\ufeffthe\ufeff', '\ufeff \ufeff'],
  ['x\ufeffy', 'x\ufeffy'],
  ['zero\u200bthe', 'zero\u200b'],
  ['\u039f\u0394\u03a5\u03a3\u03a3\u0395\u038e\u03a3', '\u03bf\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2'],
  ['\u03a3\u0391\u03a3 \u03a3', '\u03c3\u03b1\u03c2 \u03c3'],
  ['\u0130stanbul', 'i\u0307stanbul'],
  ['STRASSE Stra\u00dfe', 'strasse stra\u00dfe'],
  ['\u01c5', '\u01c6'],
  ['  ', ''],
  ['$1,000.00', '100000'],
  ["Mary-Jane's a/b", 'maryjanes ab'],
  ['the a an the', ''],
  ['AnAn a1 a', 'anan a1'],
  ['\u2160 the\u2160', '\u2170 the\u2170'],
  ['\ud835\udc00 the\ud835\udc00', '\ud835\udc00 the\ud835\udc00'],
];

test.each(PYTHON)('normalizeAnswer(%j) is %j, as in Python', (text, normalized) => {
  expect(normalizeAnswer(text)).toBe(normalized);
});

test('each of the 32 punctuation characters is deleted, and nothing else of ASCII but space', () => {
  const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
  const deleted = printable.filter((character) => normalizeAnswer(`x${character}y`) === 'xy');
  expect(deleted.join('')).toBe('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~');
});

test('white space: the characters that str.split() knows, no others', () => {
  const python = [9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000];
  for (let code = 0x2000; code <= 0x200a; code++) python.push(code);
  const ours: number[] = [];
  for (let code = 0; code < 0x10000; code++)
    if (normalizeAnswer(`x${String.fromCharCode(code)}y`) === 'x y') ours.push(code);
  expect(ours).toEqual(python.sort((a, b) => a - b));
});

test('normalising twice changes nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const once = normalizeAnswer(text);
      expect(normalizeAnswer(once)).toBe(once);
    }),
  );
});

describe('exactMatch', () => {
  test('any gold answer counts, after normalisation', () => {
    expect(exactMatch('The Eiffel-Tower.', ['Big Ben', 'eiffeltower'])).toBe(1);
    expect(exactMatch('Eiffel Tower', ['eiffeltower'])).toBe(0);
    expect(exactMatch('in Paris', ['Paris'])).toBe(0);
    expect(exactMatch('Paris', [])).toBe(0);
  });

  test('strings that normalise to nothing are equal', () => {
    expect(exactMatch('The', ['a'])).toBe(1);
    expect(exactMatch('', ['x'])).toBe(0);
  });
});

describe('substringMatch', () => {
  test('the gold answer occurs in the text, not the other way round', () => {
    expect(substringMatch('It is the city of Paris, France.', ['paris france'])).toBe(1);
    expect(substringMatch('Paris', ['Paris, France'])).toBe(0);
    expect(substringMatch('Parisian', ['London', 'paris'])).toBe(1);
  });

  test('the empty string occurs everywhere', () => {
    expect(substringMatch('x', ['the'])).toBe(1);
  });
});

describe('f1', () => {
  test.each<[string, string[], number]>([
    ['Barack Obama', ['barack obama'], 1],
    ['President Barack Obama', ['Barack Obama'], 0.8],
    ['Obama', ['Barack Obama', 'Obama Barack H.'], 2 / 3],
    ['x x y', ['x y y'], 2 / 3],
    ['x x', ['x'], 2 / 3],
    ['London', ['Paris'], 0],
    ['the', ['a'], 0],
    ['x', [], 0],
  ])('f1(%j, %j) = %d', (prediction, answers, expected) => {
    expect(f1(prediction, answers)).toBeCloseTo(expected, 12);
  });

  test('is symmetric, at most 1, and 1 on equal non-empty answers', () => {
    const phrase = fc.array(fc.constantFrom('x', 'y', 'z'), { minLength: 1, maxLength: 6 }).map((w) => w.join(' '));
    fc.assert(
      fc.property(phrase, phrase, (a, b) => {
        expect(f1(a, [b])).toBeCloseTo(f1(b, [a]), 12);
        expect(f1(a, [b])).toBeLessThanOrEqual(1);
        expect(f1(a, [b, a])).toBe(1);
      }),
    );
  });
});
