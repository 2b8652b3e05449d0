/** A terminal for commands that are run in this process: takes the place of process.stdin and process.stdout. */
import { PassThrough } from 'node:stream';
import { vi } from 'vitest';

export const CTRL_C = '\u0003';
export const CTRL_D = '\u0004';

/** @param keys typed for each line that is read, in turn; then Ctrl-D */
export function fakeTerminal(keys: readonly string[]): { restore(): void } {
  const stream = () => Object.assign(new PassThrough(), { isTTY: true, columns: 100, setRawMode: () => {} });
  const [keyboard, screen] = [stream(), stream().resume()];
  const waiting = [...keys];
  // Whoever reads a line resumes the stream and, with the line, pauses it.
  keyboard.on('resume', () => keyboard.write(waiting.shift() ?? CTRL_D));
  const stdin = vi.spyOn(process, 'stdin', 'get').mockReturnValue(keyboard as never);
  const stdout = vi.spyOn(process, 'stdout', 'get').mockReturnValue(screen as never);
  return {
    restore() {
      stdin.mockRestore();
      stdout.mockRestore();
    },
  };
}
