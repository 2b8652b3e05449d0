/**
 * From text to index terms.
 *
 * `english` follows Lucene's EnglishAnalyzer: words by UAX#29, possessive 's removed, lower case, 33 stop words, Porter's stemmer.
 * `words` only lower-cases runs of letters and digits; it is for text whose invented names a stemmer would mangle.
 */
import { porterStem } from './porter.ts';

export type AnalyzerName = 'english' | 'words';

/** Changes when the same text gives other terms: an index is only of use with the analyzer that made it. */
export const ANALYZER_VERSION = 2;

/** The terms of a text in order of occurrence, repeated ones included. */
export type Analyzer = (text: string) => string[];

export function createAnalyzer(name: AnalyzerName): Analyzer {
  return name === 'english' ? createEnglishAnalyzer() : analyzeWords;
}

function analyzeWords(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
}

/** Distinct words whose terms are remembered; the words of any text are few, and stemming them is the slow part. */
const REMEMBERED_WORDS = 1 << 18;

function createEnglishAnalyzer(): Analyzer {
  const remembered = new Map<string, string>();
  return (text) => {
    const terms: string[] = [];
    for (const word of segmentWords(text)) {
      let term = remembered.get(word);
      if (term === undefined) {
        term = englishTerm(word);
        if (remembered.size < REMEMBERED_WORDS) remembered.set(word, term);
      }
      if (term !== '') terms.push(term);
    }
    return terms;
  };
}

/** The list that Lucene has used since its first version. */
const STOP_WORDS = new Set(
  (
    'a an and are as at be but by for if in into is it no not of on or such ' +
    'that the their then there these they this to was will with'
  ).split(' '),
);

/** The term of one word; empty for stop words. */
function englishTerm(word: string): string {
  const lower = lowerCase(word.replace(/['’＇]s$/i, ''));
  return STOP_WORDS.has(lower) ? '' : porterStem(lower);
}

/** Lower case character by character, as Lucene has it: İ becomes one letter, and a final Σ is a σ like any other. */
function lowerCase(word: string): string {
  return word.replaceAll('İ', 'i').replaceAll('Σ', 'σ').toLowerCase();
}

// -------------------------------------------------------------------------------- word boundaries of UAX#29
// Classes of the property Word_Break. A character keeps the marks and format characters that follow it (rule WB4).
// As in Lucene, a pictograph is a word too. Lucene 8.7 knows the letters of Unicode 9, this one those of the present Unicode.
// Not covered: a connector between katakana (WB13a, b), pictographs that Unicode 11 did not know yet.

const EXTEND = String.raw`[[\p{Grapheme_Extend}\p{Mc}\p{Cf}]--\u200b]`;
/** Scripts written without spaces that UAX#29 leaves to dictionaries; Lucene takes a run of them as one word. */
const UNSPACED = String.raw`[[\p{sc=Thai}\p{sc=Lao}\p{sc=Myanmar}\p{sc=Khmer}\p{sc=Tai_Le}\p{sc=New_Tai_Lue}\p{sc=Tai_Tham}\p{sc=Tai_Viet}]--[\p{Nd}\p{P}\p{S}]]`;
const KATAKANA = String.raw`[\p{sc=Katakana}\u3031-\u3035\u309b\u309c\u30a0\u30fc\uff70]`;
/** One character a word. */
const SINGLE = String.raw`[[\p{sc=Han}\p{sc=Hiragana}]--[\u3005\u303b]]`;
const LETTER = String.raw`[[\p{Alphabetic}\u05f3]--[\p{M}${UNSPACED}${KATAKANA}${SINGLE}]]`;
const HEBREW = String.raw`[\p{sc=Hebrew}&&\p{L}]`;
const DIGIT = String.raw`[\p{Nd}\u066b]`;
/** ExtendNumLet: joins whatever it touches. */
const CONNECTOR = String.raw`[\p{Pc}\u202f]`;
/** Between two letters: a colon, a middle dot, an apostrophe, a full stop and their like. */
const MID_LETTER = String.raw`[:\u00b7\u02d7\u0387\u05f4\u2027\ufe13\ufe55\uff1a'.\u2018\u2019\u2024\ufe52\uff07\uff0e]`;
/** Between two digits: a comma, a semicolon, an apostrophe, a full stop and their like. */
const MID_NUMBER = String.raw`[,;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b'.\u2018\u2019\u2024\ufe52\uff07\uff0e]`;
/** Extended_Pictographic as Unicode 11 had it, and Lucene has it still; later versions took ♯, ★ and others out. */
const PICTOGRAPH = String.raw`[[\p{Extended_Pictographic}\p{Emoji}\u2388\u2605\u2607-\u2612\u2616-\u2685\u2690-\u2704\u270e-\u2711\u2765-\u2767\u{1f000}-\u{1f0f5}\u{1f10d}-\u{1f10f}\u{1f12f}\u{1f16c}-\u{1f16f}\u{1f1ad}\u{1f200}\u{1f260}-\u{1f4fe}\u{1f546}-\u{1f5f9}\u{1f6c6}-\u{1f6f2}\u{1f774}-\u{1f77f}\u{1f7d5}-\u{1f7d9}\u{1f8b0}-\u{1f8d8}\u{1fa00}-\u{1fbef}\u{1fbfa}-\u{1fbff}]--[#*0-9\p{Regional_Indicator}]]`;
/** What may follow a pictograph: skin colour, presentation, the letters of a flag's tag. */
const PICTOGRAPH_END = String.raw`[\p{Emoji_Modifier}\ufe0f\u{e0020}-\u{e007f}]*`;

const INNER = `[${LETTER}${DIGIT}${CONNECTOR}${EXTEND}]`;
/** A mark that joins what stands before it to what follows. */
const joint = (mark: string, kind: string) => `${mark}(?<=${kind}${EXTEND}*${mark})(?=${kind})`;

const WORD = new RegExp(
  [
    // The plain case, for speed: the next alternative would find the same.
    '[A-Za-z0-9]+(?= |$)',
    `${CONNECTOR}*[${LETTER}${DIGIT}]${INNER}*(?:(?:${joint(MID_LETTER, LETTER)}|${joint(MID_NUMBER, DIGIT)}|${joint('"', HEBREW)})${INNER}+)*(?:(?<=${HEBREW}${EXTEND}*)')?`,
    `${KATAKANA}[${KATAKANA}${EXTEND}]*`,
    `${UNSPACED}[${UNSPACED}${EXTEND}]*`,
    `${SINGLE}${EXTEND}*`,
    String.raw`${PICTOGRAPH}${PICTOGRAPH_END}(?:\u200d${PICTOGRAPH}${PICTOGRAPH_END})*`,
    String.raw`\p{Regional_Indicator}{2}`,
  ].join('|'),
  'gv',
);

function segmentWords(text: string): string[] {
  return text.match(WORD) ?? [];
}
