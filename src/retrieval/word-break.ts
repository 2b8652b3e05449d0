/**
 * Words as Lucene 8.7's StandardTokenizer finds them: UAX #29 (rules WB4 to WB13b), each of Han and Hiragana a word, each run of
 * a script without spaces, and emoji sequences (UTS #51) too. No word is longer than 255 UTF-16 units: what is longer is cut.
 */
import { CLASSES } from './word-classes.ts';

const is = (...names: (keyof typeof CLASSES)[]) => `[${names.map((name) => CLASSES[name]).join('')}]`;

/** WB4: a character keeps the marks and format characters that follow it. */
const EXTEND = `${is('extend')}*`;
const kept = (characters: string) => `${characters}${EXTEND}`;

const CONNECTOR = kept(is('connector'));
const KATAKANA = kept(is('katakana'));
const HEBREW = kept(is('hebrew'));
const LETTER = kept(is('letter', 'emojiLetter', 'hebrew'));
const DIGIT = kept(is('numeric'));
const MID_LETTER = kept(`[${CLASSES.midLetter}${CLASSES.midBoth}']`);
const MID_NUMBER = kept(`[${CLASSES.midNumeric}${CLASSES.midBoth}']`);

/** WB5 to WB12: letters and digits, with what may stand between two letters, or two digits; behind Hebrew, quotation marks (WB7a to c). */
const UNIT = `(?:${HEBREW}(?:${kept("'")}|${kept('"')}${HEBREW})|${LETTER}(?:${MID_LETTER}${LETTER})*|${DIGIT}(?:${MID_NUMBER}${DIGIT})*)`;
const UNITS = `(?:${UNIT}+|(?:${KATAKANA})+)`;
/** WB13: what connectors join. Alone they are no word, and a row of them is tried from its beginning only. */
const FIRST_CONNECTORS = `(?=${is('connector')})(?<!${CONNECTOR})(?:${CONNECTOR})+`;
const WORD = `(?:${FIRST_CONNECTORS})?${UNITS}(?:(?:${CONNECTOR})+${UNITS})*(?:${CONNECTOR})*`;

/** Within an emoji stand marks and joiners, but not the choice of its presentation. */
const WITHIN = String.raw`[[${CLASSES.extend}]--[\ufe0e\ufe0f]]*`;
const [SKIN, ZWJ, PICTURE] = [String.raw`[\u{1f3fb}-\u{1f3ff}]`, String.raw`\u200d`, String.raw`\ufe0f`];
/** An emoji with its skin colour, or shown as a picture; or a skin colour alone. @param before joiners may stand before the former */
const emoji = (before: string, others: string) =>
  `(?:${SKIN}${WITHIN}|${before}(?:${is('emojiBase')}${WITHIN}(?:${SKIN}${WITHIN}|${PICTURE})?|${others}${WITHIN}${PICTURE}?))`;
const FIRST_EMOJI = emoji(`(?:(?<!${ZWJ})${ZWJ}+)?`, is('emoji', 'emojiLetter'));
/** What is within ends with the joiner already, if there is one. */
const JOINED = `(?:${ZWJ}|(?<=${ZWJ}))`;
const NEXT_EMOJI = `${JOINED}${emoji(`${ZWJ}*`, is('emoji', 'emojiLetter'))}`;
const EMOJI = String.raw`${FIRST_EMOJI}(?:(?<=${PICTURE})[\u{e0020}-\u{e007e}]+\u{e007f}|(?:${NEXT_EMOJI})*)`;
/** Letters that are emoji are words (WORD), but for those that another emoji is joined to. */
const EMOJI_LETTER = `${is('emojiLetter')}${WITHIN}${PICTURE}?`;
const JOINED_LETTERS = `${EMOJI_LETTER}(?:${JOINED}${ZWJ}*${EMOJI_LETTER})*${JOINED}${emoji(`${ZWJ}*`, is('emoji'))}(?:${NEXT_EMOJI})*`;
/** Keys: those of digits are words. */
const KEY = String.raw`[#*]${WITHIN}(?:${PICTURE}\u20e3${WITHIN}|\u20e3${WITHIN})`;
const FLAG = String.raw`(?:[\u{1f1e6}-\u{1f1ff}]${EXTEND}){2}`;

const RULES = [
  JOINED_LETTERS,
  WORD,
  `${is('unspaced')}${is('unspaced', 'extend')}*`,
  kept(is('han')),
  kept(is('hiragana')),
  EMOJI,
  KEY,
  FLAG,
].join('|');
/** Two plain cases come first, for speed: a word of ASCII that ends plainly, and ASCII that begins none. The rules say the same. */
const PATTERN = String.raw`[A-Za-z0-9]+(?=[ \n!?\(\)\/\-]|[,.;:"][ \n]|$)|(?![\0-"$-\)+-\/:-@\[-\^\x60\{-\x7f])(?:${RULES})`;

const ALL = new RegExp(PATTERN, 'gv');
const ONE = new RegExp(PATTERN, 'yv');

/** UTF-16 units of a word; also how far Lucene looks ahead for its end. */
const LONGEST = 255;
/** Units of a text that are looked at together, as long as there is white space to cut them at. */
const PIECE = 1 << 16;

/** The words of a text in order. */
export function words(text: string): string[] {
  if (text.length > PIECE) return wordsInPieces(text);
  const found = text.match(ALL) ?? [];
  return found.some((word) => word.length > LONGEST) ? cutWords(text) : found;
}

function wordsInPieces(text: string): string[] {
  const found: string[][] = [];
  for (let start = 0; start < text.length; ) {
    const space = text.length - start <= PIECE ? text.length : text.lastIndexOf(' ', start + PIECE);
    if (space > start) {
      found.push(words(text.slice(start, space)));
      start = space;
    } else {
      const next = text.indexOf(' ', start + PIECE);
      const end = next < 0 ? text.length : next;
      found.push(cutWords(text.slice(start, end)));
      start = end;
    }
  }
  return found.flat();
}

/** The same for texts that may have long words: of each place only the next 255 units are looked at. */
function cutWords(text: string): string[] {
  const found: string[] = [];
  for (let start = 0; start < text.length; ) {
    let end = Math.min(text.length, start + LONGEST);
    // Not half a character.
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end -= 1;
    ONE.lastIndex = 0;
    const word = ONE.exec(text.slice(start, end))?.[0];
    if (word !== undefined) found.push(word);
    start += word?.length ?? (text.codePointAt(start)! > 0xffff ? 2 : 1);
  }
  return found;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}
