/** What can be typed in a session beside questions. */
import { printable } from '../base/text.ts';
import type { Asked } from '../evaluation/agent.ts';
import type { Hit } from '../retrieval/retriever.ts';
import type { Io } from './widgets/io.ts';
import { Paragraphs } from './widgets/paragraph.ts';

export const sessionHelp = `Type a question; the answer is worked out step by step.
  /passages    what the last answer's searches found, whole
  /read 2      the second passage of its last search; /read 1.2 that of its first search
  /help        this
  /exit        ends the session, as Ctrl-D does; Ctrl-C stops an answer
`;

/** Words that people type to get out. */
const ways = ['/exit', '/quit', '/q', 'exit', 'quit', ':q'];

/**
 * Does what a line says when it is a command.
 * @param last what was asked last
 * @returns 'exit' to end the session, true when it was a command, false for a question
 */
export function runCommand(line: string, last: Asked | undefined, io: Io): 'exit' | boolean {
  const [word = '', ...rest] = line.toLowerCase().split(/\s+/);
  if (ways.includes(line.toLowerCase())) return 'exit';
  if (word === 'help' && rest.length === 0) io.out.write(sessionHelp);
  else if (word === '/read' || word === '/passages') io.out.write(passageText(rest.join(''), word, last, io));
  else if (word.startsWith('/'))
    io.out.write(
      word === '/help' ? sessionHelp : `There is no ${printable(word)}. A line is a question.\n${sessionHelp}`,
    );
  else return false;
  return true;
}

/** All passages, or the one that "2" or "1.2" names; what is wrong with it otherwise. */
function passageText(which: string, word: '/read' | '/passages', last: Asked | undefined, io: Io): string {
  if (last === undefined) return 'Nothing was asked yet.\n';
  const { found, searches } = last;
  if (found.length === 0) return 'Nothing was searched for the last answer.\n';
  if (word === '/passages') {
    const pieces: string[] = [];
    for (const [i, hits] of found.entries()) {
      pieces.push(`${printable(searches[i]?.query ?? '')}\n`);
      for (const hit of hits) pieces.push(wholeText(hit, io));
    }
    return pieces.join('');
  }
  const [, search = String(found.length), number] = /^(?:(\d+)\.)?(\d+)$/.exec(which) ?? [];
  const hits = found[Number(search) - 1];
  const hit = hits?.[Number(number) - 1];
  if (number === undefined || hits === undefined || hit === undefined) {
    const counts = found.map((each, i) => `${i + 1}.1 to ${i + 1}.${each.length}`).join(', ');
    return `Which passage? There are ${counts}; a number alone is one of the last search.\n`;
  }
  return wholeText(hit, io);
}

function wholeText(hit: Hit, io: Io): string {
  const pieces: string[] = [];
  const { isTTY, columns } = io.out;
  const paragraphs = new Paragraphs({ write: (piece: string) => pieces.push(piece), isTTY, columns });
  paragraphs.line(`${hit.passage.title === '' ? '(no title)' : hit.passage.title} [${hit.passage.id}]`);
  paragraphs.line(hit.passage.text);
  return pieces.join('');
}
