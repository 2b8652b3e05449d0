import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAnalyzer } from './analyzer.ts';
import { words } from './word-break.ts';

describe('english', () => {
  const analyze = createAnalyzer('english');

  /** What the EnglishAnalyzer of Lucene 8.7.0 made of these texts. */
  const LUCENE: [text: string, terms: string][] = [
    ["The widow's tears, Cupid’s bower, JAMES＇S and the dogs' bowl", 'widow tear cupid bower jame dog bowl'],
    ['U.S.A. and a.b.c, e.g. at 3.14, 1,234,567.89 or 3.a and a.3', 'u.s.a a.b.c e.g 3.14 1,234,567.89 3 3'],
    [
      "chapter:verse 10:30 snake_case __init__ ___ C++ C# AT&T don't O'Neill rock'n'roll",
      "chapter:vers 10 30 snake_cas __init__ c c t don't o'neil rock'n'rol",
    ],
    ['İstanbul ΟΔΥΣΣΕΎΣ Straße naïve cafés ﬁn', 'istanbul οδυσσεύσ straße naïv café ﬁn'],
    ['東京タワー ひらがな 한국어 단어 ภาษาไทย Привет мир', '東 京 タワー ひ ら が な 한국어 단어 ภาษาไทย привет мир'],
    ['© 2020 ™ 😀👍🏽 👩‍🚒 🇫🇷🇩🇪 half½ m² Ⅷ ８９', '© 2020 ™ 😀 👍🏽 👩‍🚒 🇫🇷 🇩🇪 half m ⅷ ８９'],
    ['c♯ F♯m 人々 ★★ ☆ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 צה"ל ג\'ורג ס׳איז "quoted"', 'c ♯ f ♯ m 人 々 ★ ★ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 צה"ל ג\'ורג ס׳איז quot'],
    ["A x y is by ’s 's S's", 'x y s s s'],
    [
      'well-known co-operation generalizations 1990s 20th-century x1y2',
      'well known co oper gener 1990 20th centuri x1y2',
    ],
    // Letters, marks and emoji as Unicode 9 had them.
    ['a𗀀b 〆a カ〆カ 1ﾞ2 ﾞa 漢ﾞ漢 a𑜀b ก𑜀ก 17f0 ៰a ⌚ 🄰', 'b カ カ 1ﾞ2 漢ﾞ 漢 𑜀 b ก𑜀ก 17f0 ⌚ 🄰'],
    [
      '1️⃣ #️⃣ *⃣ 🏻🏻 👍🏽🏽 ☝\u0301 😀\u00ad😀 👨‍👩‍👧‍👦 ❤️‍🔥 ℹ‍😀b',
      '1️⃣ #️⃣ *⃣ 🏻 🏻 👍🏽 🏽 ☝\u0301 😀\u00ad 😀 👨‍👩‍👧‍👦 ❤️‍🔥 ℹ‍😀 b',
    ],
    ["a.א' א'ב' צ\"ל\" カ_a _a_ __ __漢", "a.א א'ב' צ\"ל カ_a _a_ 漢"],
    ['re\u0301sume\u0301s soft\u00adhyphen zero\u200bwidth', 're\u0301sume\u0301 soft\u00adhyphen zero width'],
  ];

  test.each(LUCENE)('%s', (text, terms) => {
    expect(analyze(text).join(' ')).toBe(terms);
  });

  // Of which Lucene 8.7.0 made words of so many UTF-16 units.
  test.each<[string, string, number[]]>([
    ['letters', 'x'.repeat(600), [255, 255, 90]],
    ['letters up to the longest', `${'x'.repeat(255)} ${'y'.repeat(256)}`, [255, 255, 1]],
    ['joined letters', `${'a.'.repeat(128)}b`, [255, 1]],
    ['characters of two units, never in halves', '𝐀'.repeat(200), [254, 146]],
    ['a joint at the border', `${'x'.repeat(254)}'yz`, [254, 2]],
    ['marks', `e${'\u0301'.repeat(300)}f`, [255, 1]],
    ['connectors before a letter', `${'_'.repeat(300)}a`, [255]],
    ['emoji', '😀\u200d'.repeat(100), [255, 45]],
    ['a script without spaces', 'ก'.repeat(300), [255, 45]],
    ['Han, which has no words', '漢'.repeat(300), Array(300).fill(1)],
  ])('a long word is cut: %s', (_name, text, lengths) => {
    expect(words(text).map((word) => word.length)).toEqual(lengths);
  });

  test('a text of any length is taken, in about as many steps as it has characters', () => {
    const long = 66_000;
    for (const piece of ['a', 'א"', '\u0301', '_', '_\u0301', '\u200d', '#\u0301', '1,', "a'", '🇫', '😀\u200d']) {
      const text = piece.repeat(long / piece.length);
      expect(words(`${text} last`).at(-1)).toBe('last');
    }
    expect(words('word '.repeat(long))).toHaveLength(long);
  });

  test('a long text has the words of its parts', () => {
    const part = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.constantFrom('x'.repeat(300), "a'", '漢字'),
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 20, maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (parts, times) => {
        const spaced = parts.map((text) => ` ${text} `);
        const expected = Array(times).fill(spaced.flatMap(words)).flat();
        expect(words(Array(times).fill(spaced.join('')).join(''))).toEqual(expected);
      }),
      { numRuns: 15 },
    );
  });

  const cases = path.join(process.env.SEARCH_E1_SHARED ?? '../shared', 'cases/retrieval/analyzer');
  test.skipIf(!existsSync(cases))(`Lucene's terms of all lines of ${cases} (skipped where they are absent)`, () => {
    const read = (name: string) => readFileSync(path.join(cases, name), 'utf8').split('\n').slice(0, -1);
    const terms = read('lines.txt').map((line) => analyze(line).join(' '));
    expect(terms).toEqual(read('lucene-8.7.txt'));
    expect(terms.length).toBeGreaterThan(50);
  });

  test("Lucene's 33 stop words give nothing", () => {
    const stopWords = `a an and are as at be but by for if in into is it no not of on or such
      that the their then there these they this to was will with`;
    expect(stopWords.split(/\s+/)).toHaveLength(33);
    expect(analyze(stopWords)).toEqual([]);
    expect(analyze(stopWords.toUpperCase())).toEqual([]);
  });

  test('remembering words changes no term', () => {
    const text = LUCENE.map(([line]) => line).join(' ');
    expect(analyze(text)).toEqual(createAnalyzer('english')(text));
  });

  test('what stands after a space does not change the words before it', () => {
    const piece = fc.stringMatching(/^[a-zA-Z0-9'.,:_ éß©-]{0,12}$/);
    fc.assert(
      fc.property(piece, piece, (a, b) => {
        expect(analyze(`${a} ${b}`)).toEqual([...analyze(a), ...analyze(b)]);
      }),
    );
  });
});

describe('words', () => {
  const analyze = createAnalyzer('words');

  test('lower-cased runs of letters and digits, nothing removed, nothing stemmed', () => {
    expect(analyze("The Velmari's 3.5 running-dogs, of OSLO_2!")).toEqual([
      'the',
      'velmari',
      's',
      '3',
      '5',
      'running',
      'dogs',
      'of',
      'oslo',
      '2',
    ]);
  });

  test('a combining mark belongs to its letter', () => {
    expect(analyze('cafe\u0301 Émile')).toEqual(['cafe\u0301', 'émile']);
  });

  test('no words, no terms', () => {
    expect(analyze(' -- ')).toEqual([]);
  });
});
