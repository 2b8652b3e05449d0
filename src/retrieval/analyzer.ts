/**
 * From text to index terms.
 *
 * `english` follows Lucene's EnglishAnalyzer: words by UAX#29, possessive 's removed, lower case, 33 stop words, Porter's stemmer.
 * `words` only lower-cases runs of letters and digits; it is for text whose invented names a stemmer would mangle.
 */
import { porterStem } from './porter.ts';
import { words } from './word-break.ts';

export type AnalyzerName = 'english' | 'words';

/** Changes when the same text gives other terms: an index is only of use with the analyzer that made it. */
export const ANALYZER_VERSION = 3;

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
    for (const word of words(text)) {
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
