/** Questions typed one after another, with the line editing and the history that people are used to. */
import { createInterface } from 'node:readline';
import type { Io } from './widgets/io.ts';

const PROMPT = '> ';

/** Asks for lines until Ctrl-D, or until `answer` says 'exit'. Ctrl-C clears the line; while an answer is written it is `answer`'s to handle. */
export async function askInTurns(io: Io, answer: (line: string) => Promise<'exit' | undefined>): Promise<void> {
  let history: string[] = [];
  for (;;) {
    const { line, typed } = await readLine(io, history);
    if (line === undefined) return;
    history = typed;
    if (line.trim() !== '' && (await answer(line.trim())) === 'exit') return;
  }
}

/**
 * One line; undefined at Ctrl-D. The interface lives for this line only: while an answer is written the terminal is in its
 * ordinary mode, in which Ctrl-C is a signal.
 */
function readLine(io: Io, history: readonly string[]): Promise<{ line: string | undefined; typed: string[] }> {
  return new Promise((resolve) => {
    const reader = createInterface({
      input: process.stdin,
      output: process.stdout,
      prompt: PROMPT,
      history: [...history],
      removeHistoryDuplicates: true,
    });
    let line: string | undefined;
    let typed = [...history];
    reader.on('history', (lines) => {
      typed = lines;
    });
    reader.on('line', (text) => {
      line = text;
      reader.close();
    });
    reader.on('SIGINT', () => {
      // A line of its own keeps what was typed readable, as shells do.
      io.out.write('\n');
      reader.write(null, { ctrl: true, name: 'e' });
      reader.write(null, { ctrl: true, name: 'u' });
    });
    reader.on('close', () => {
      if (line === undefined) io.out.write('\n');
      resolve({ line, typed });
    });
    reader.prompt();
  });
}
