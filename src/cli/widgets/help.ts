/** Help as wide as the terminal: sentences break between words, examples before an option, with a shell's mark for a line that goes on. */
import type { Argument, Option } from 'commander';
import { brokenAtWords } from './terminal.ts';

/** What is said of an option or argument: choices and default as one types them, where commander writes JSON. */
export function asTyped({ description, argChoices, defaultValue, defaultValueDescription }: Option | Argument): string {
  const value = defaultValueDescription ?? (typeof defaultValue === 'boolean' ? undefined : defaultValue);
  const facts = [
    ...(argChoices ? [`choices: ${argChoices.join(', ')}`] : []),
    ...(value === undefined ? [] : [`default: ${value}`]),
  ];
  return facts.length === 0 ? description : `${description} (${facts.join('; ')})`;
}

/** An example, and what is said beside it behind at least two spaces. */
const EXAMPLE = /^( {2}(?:search-e1|zcat|curl) .*?\S)(?: {2,}(\S.*))?$/;

export function helpOfWidth(text: string, width: number): string {
  const lines = flowing(text, width).flatMap((line) => {
    const [, command, comment] = line.length <= width ? [] : (EXAMPLE.exec(line) ?? []);
    if (command === undefined) return brokenAtWords(line, width);
    return [
      commandOfWidth(command, width),
      ...(comment === undefined ? [] : [brokenAtWords(`      ${comment}`, width)]),
    ];
  });
  return lines.join('\n');
}

/** The lines of a text; where one of a paragraph is too long, each of its sentences is one line, so that none breaks twice. */
function flowing(text: string, width: number): string[] {
  const paragraphs = text.split(/(?<=^|\n)(\S[^\n]*(?:\n\S[^\n]*)+)/);
  const isLong = (part: string) => part.split('\n').some((line) => line.length > width);
  return paragraphs
    .map((part, i) => (i % 2 === 1 && isLong(part) ? part.replace(/(?<![.}])\n/g, ' ') : part))
    .join('')
    .split('\n');
}

function commandOfWidth(command: string, width: number): string {
  if (command.length <= width) return command;
  const at = command.lastIndexOf(' --', width - 2);
  return at < 20 ? command : `${command.slice(0, at)} \\\n${commandOfWidth(`     ${command.slice(at)}`, width)}`;
}
