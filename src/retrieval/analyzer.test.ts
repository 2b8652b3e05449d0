import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAnalyzer } from './analyzer.ts';

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
    ['re\u0301sume\u0301s soft\u00adhyphen zero\u200bwidth', 're\u0301sume\u0301 soft\u00adhyphen zero width'],
  ];

  test.each(LUCENE)('%s', (text, terms) => {
    expect(analyze(text).join(' ')).toBe(terms);
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
