/**
 * Porter's stemmer, the original of 1980 (M. F. Porter, "An algorithm for suffix stripping", Program 14(3)), not Porter2.
 *
 * With the three departures that its author made in his own programs, and that Lucene has too: words of one or two
 * letters stay as they are; step 2 has bli → ble in place of abli → able, and the additional rule logi → log.
 */

/**
 * The word's letters as c (consonant) and v (vowel): a, e, i, o, u are vowels, and so is a y that follows a consonant.
 * Anything outside a-z counts as a consonant.
 */
function shape(word: string): string {
  let shape = '';
  for (const letter of word) {
    const vowel = 'aeiou'.includes(letter) || (letter === 'y' && shape.endsWith('c'));
    shape += vowel ? 'v' : 'c';
  }
  return shape;
}

/** m of the paper: [C](VC)^m[V], the number of times that a vowel is followed by a consonant. */
function measure(stem: string): number {
  return shape(stem).split('vc').length - 1;
}

/** *v* of the paper. */
function hasVowel(stem: string): boolean {
  return shape(stem).includes('v');
}

/** *d of the paper. */
function endsInDoubleConsonant(stem: string): boolean {
  return stem.length > 1 && stem.at(-1) === stem.at(-2) && shape(stem).endsWith('c');
}

/** *o of the paper: ends consonant, vowel, consonant, and the last is not w, x or y. */
function endsInShortSyllable(stem: string): boolean {
  return shape(stem).endsWith('cvc') && !/[wxy]$/.test(stem);
}

/** Suffix and replacement. Of the suffixes that fit, the longest counts, so longer ones stand before their own endings. */
type Rule = readonly [suffix: string, replacement: string];

const STEP_2: readonly Rule[] = [
  ['ational', 'ate'],
  ['tional', 'tion'],
  ['enci', 'ence'],
  ['anci', 'ance'],
  ['izer', 'ize'],
  ['bli', 'ble'],
  ['alli', 'al'],
  ['entli', 'ent'],
  ['eli', 'e'],
  ['ousli', 'ous'],
  ['ization', 'ize'],
  ['ation', 'ate'],
  ['ator', 'ate'],
  ['alism', 'al'],
  ['iveness', 'ive'],
  ['fulness', 'ful'],
  ['ousness', 'ous'],
  ['aliti', 'al'],
  ['iviti', 'ive'],
  ['biliti', 'ble'],
  ['logi', 'log'],
];

const STEP_3: readonly Rule[] = [
  ['icate', 'ic'],
  ['ative', ''],
  ['alize', 'al'],
  ['iciti', 'ic'],
  ['ical', 'ic'],
  ['ful', ''],
  ['ness', ''],
];

const STEP_4: readonly Rule[] = 'al ance ence er ic able ible ant ement ment ent ou ism ate iti ous ive ize'
  .split(' ')
  .map((suffix) => [suffix, '']);

/** Applies the rule of the suffix that fits, provided that the stem before it has a measure above `least`. */
function replaceSuffix(word: string, rules: readonly Rule[], least: number): string {
  const rule = rules.find(([suffix]) => word.endsWith(suffix));
  if (rule === undefined) return word;
  const stem = word.slice(0, word.length - rule[0].length);
  return measure(stem) > least ? stem + rule[1] : word;
}

/** Plurals. */
function step1a(word: string): string {
  if (word.endsWith('sses') || word.endsWith('ies')) return word.slice(0, -2);
  return word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word;
}

/** Past tense and -ing. */
function step1b(word: string): string {
  if (word.endsWith('eed')) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word;
  const stem = word.replace(/(ed|ing)$/, '');
  if (stem === word || !hasVowel(stem)) return word;
  if (/(at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (endsInDoubleConsonant(stem)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1);
  return measure(stem) === 1 && endsInShortSyllable(stem) ? `${stem}e` : stem;
}

function step1c(word: string): string {
  const stem = word.slice(0, -1);
  return word.endsWith('y') && hasVowel(stem) ? `${stem}i` : word;
}

function step4(word: string): string {
  // (m > 1 and (*S or *T)) ION: the s or t belongs to the stem.
  if (/[st]ion$/.test(word)) return measure(word.slice(0, -3)) > 1 ? word.slice(0, -3) : word;
  return replaceSuffix(word, STEP_4, 1);
}

/** A final e, then a final double l. */
function step5(word: string): string {
  if (word.endsWith('e')) {
    const stem = word.slice(0, -1);
    const m = measure(stem);
    if (m > 1 || (m === 1 && !endsInShortSyllable(stem))) word = stem;
  }
  return word.endsWith('ll') && measure(word) > 1 ? word.slice(0, -1) : word;
}

/** The stem of a word in lower case. */
export function porterStem(word: string): string {
  if (word.length <= 2) return word;
  const singular = step1c(step1b(step1a(word)));
  const simple = replaceSuffix(replaceSuffix(singular, STEP_2, 0), STEP_3, 0);
  return step5(step4(simple));
}
