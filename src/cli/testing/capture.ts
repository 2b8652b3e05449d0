/** Runs the command in this process and keeps what it prints. */
import { main } from '../main.ts';

export interface Captured {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export function capture(...argv: readonly string[]): Promise<Captured> {
  return captureWatched(argv, () => {});
}

/** The same with one Ctrl-C as soon as a text that matches is written. */
export function captureStopped(when: RegExp, ...argv: readonly string[]): Promise<Captured> {
  let waiting = true;
  return captureWatched(argv, (text) => {
    if (!waiting || !when.test(text)) return;
    waiting = false;
    process.emit('SIGINT', 'SIGINT');
  });
}

/** The same, stopped as soon as a condition holds that the command does not speak of. */
export async function captureStoppedOnce(condition: () => boolean, ...argv: readonly string[]): Promise<Captured> {
  const timer = setInterval(() => {
    if (!condition()) return;
    clearInterval(timer);
    process.emit('SIGINT', 'SIGINT');
  }, 1);
  try {
    return await capture(...argv);
  } finally {
    clearInterval(timer);
  }
}

async function captureWatched(argv: readonly string[], onText: (text: string) => void): Promise<Captured> {
  const said = { out: '', err: '' };
  const stream = (name: 'out' | 'err') => ({
    columns: 100,
    write(text: string) {
      said[name] += text;
      onText(text);
    },
  });
  const code = await main(argv, { out: stream('out'), err: stream('err') });
  return { code, ...said };
}
