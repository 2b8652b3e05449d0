/**
 * What a terminal can show. Lines that are drawn again in place, colours and typographic signs belong to a terminal that says it
 * can do them; logs, `TERM=dumb`, `NO_COLOR` and the C locale get plain lines of ASCII.
 */
import { printable } from '../../base/text.ts';
import { indented } from '../../runs/table.ts';
import type { LiveOutput } from './output.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** True for a terminal that can do more than plain lines of ASCII. */
export function isRich(output: LiveOutput, environment: Environment = process.env): boolean {
  const { TERM, NO_COLOR, LC_ALL, LC_CTYPE, LANG } = environment;
  // The first that is set decides, as in the C library; where none is, terminals of today are taken to know Unicode.
  const locale = LC_ALL || LC_CTYPE || LANG || 'UTF-8';
  return output.isTTY === true && TERM !== 'dumb' && !NO_COLOR && /utf-?8/i.test(locale);
}

/** Signs of ours and what stands for each in ASCII; a column stays as wide as it was. */
const signs: readonly (readonly [RegExp, string])[] = [
  [/ ±(?=\S)/g, '+-'],
  [/±/g, '+-'],
  [/[–−]/g, '-'],
  [/—/g, '--'],
  [/─/g, '-'],
  [/×/g, 'x'],
  [/…/g, '...'],
  [/→/g, '->'],
  [/≥/g, '>='],
  [/≤/g, '<='],
  [/█/g, '#'],
  [/░/g, '.'],
  [/[‘’]/g, "'"],
  [/[“”]/g, '"'],
];

/** Text of this program as the output can show it. What others wrote (answers, titles, names of files) keeps its letters. */
export function fitting(text: string, output: LiveOutput, environment?: Environment): string {
  return isRich(output, environment) ? text : signs.reduce((left, [sign, ascii]) => left.replace(sign, ascii), text);
}

/** A message for people: nothing in it steers the terminal, and it breaks between words. Ends with a line's end. */
export function message(text: string, output: LiveOutput, environment?: Environment): string {
  const plain = fitting(printable(text), output, environment);
  return `${output.isTTY ? brokenAtWords(plain, (output.columns || 80) - 1) : plain}\n`;
}

/** Lines of at most `width` columns where words allow it; a line's margin is kept below it. */
export function brokenAtWords(text: string, width: number): string {
  const lines = text.split('\n').map((line) => {
    const margin = /^ */.exec(line)![0];
    return line.length <= width ? line : indented(margin, line.slice(margin.length), width);
  });
  return lines.join('\n');
}

/** JSON of what others wrote, which a terminal can show: what JSON lets stand but may steer a terminal is written as an escape. */
export function jsonText(value: unknown, indent?: number): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    escaped,
  );
}
