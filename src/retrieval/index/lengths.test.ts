import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeLengths, luceneCode, luceneLength } from './lengths.ts';

/** SmallFloat.byte4ToInt of Lucene 8.7.0 for the codes 0, 8, 16, ... 248. */
const LUCENE_LENGTHS = [
  ...[0, 8, 16, 24, 32, 40, 56, 88, 152, 280, 536, 1048, 2072, 4120, 8216, 16408, 32792],
  ...[65560, 131096, 262168, 524312, 1048600, 2097176, 4194328, 8388632, 16777240, 33554456],
  ...[67108888, 134217752, 268435480, 536870936, 1073741848],
];

test("codes stand for Lucene's lengths", () => {
  expect(LUCENE_LENGTHS.map((_, i) => luceneLength(8 * i))).toEqual(LUCENE_LENGTHS);
});

test("lengths have Lucene's codes", () => {
  // SmallFloat.intToByte4 of Lucene 8.7.0.
  const codes = { 39: 39, 40: 40, 41: 40, 47: 43, 48: 44, 66: 50, 67: 50, 1000: 87, 123456: 143 };
  for (const [length, code] of Object.entries(codes))
    expect([length, luceneCode(Number(length))]).toEqual([length, code]);
});

test('a code stands for the largest of its lengths that is not above', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (length) => {
      const code = luceneCode(length);
      expect(luceneLength(code)).toBeLessThanOrEqual(length);
      if (code < 255) expect(luceneLength(code + 1)).toBeGreaterThan(length);
    }),
  );
});

test('both forms: the length of its code, exact or rounded', () => {
  const lengths = Uint32Array.of(70, 0, 300, 70, 12);
  const decoded = (form: 'lucene' | 'exact') => {
    const { lengthCodes, codeLengths } = encodeLengths(lengths, form);
    return Array.from(lengthCodes, (code) => codeLengths[code]);
  };
  expect(decoded('exact')).toEqual([70, 0, 300, 70, 12]);
  expect(decoded('lucene')).toEqual([68, 0, 280, 68, 12]);
});
