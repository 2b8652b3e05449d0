/** Help as wide as the terminal: sentences break between words, examples before an option, with a shell's mark for a line that goes on. */
import { brokenAtWords } from './terminal.ts';

/** An example, and what is said beside it behind at least two spaces. */
const EXAMPLE = /^( {2}(?:search-e1|zcat|curl) .*?\S)(?: {2,}(\S.*))?$/;

export function helpOfWidth(text: string, width: number): string {
  const lines = text.split('\n').flatMap((line) => {
    const [, command, comment] = line.length <= width ? [] : (EXAMPLE.exec(line) ?? []);
    if (command === undefined) return brokenAtWords(line, width);
    return [
      commandOfWidth(command, width),
      ...(comment === undefined ? [] : [brokenAtWords(`      ${comment}`, width)]),
    ];
  });
  return lines.join('\n');
}

function commandOfWidth(command: string, width: number): string {
  if (command.length <= width) return command;
  const at = command.lastIndexOf(' --', width - 2);
  return at < 20 ? command : `${command.slice(0, at)} \\\n${commandOfWidth(`     ${command.slice(at)}`, width)}`;
}
