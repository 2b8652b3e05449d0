/** The command in a process of its own, to which a signal may be sent. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const command = fileURLToPath(new URL('../../../bin/search-e1.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `search-e1`; sends a signal so many milliseconds after `when` was printed on standard error. */
export function runCommand(
  args: readonly string[],
  stop?: { readonly when: string; readonly after: number; readonly signal: NodeJS.Signals },
): Promise<Ended> {
  const child = spawn(process.execPath, [command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  let waiting = stop;
  child.stdout.on('data', (data) => {
    out += String(data);
  });
  child.stderr.on('data', (data) => {
    err += String(data);
    if (waiting === undefined || !err.includes(waiting.when)) return;
    const { after, signal } = waiting;
    waiting = undefined;
    setTimeout(() => child.kill(signal), after);
  });
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, out, err })));
}
