/** Runs the command in this process and keeps what it prints. */
import { main } from '../main.ts';

export interface Captured {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function capture(...argv: readonly string[]): Promise<Captured> {
  let [out, err] = ['', ''];
  const code = await main(argv, {
    out: {
      columns: 100,
      write: (text) => {
        out += text;
      },
    },
    err: {
      columns: 100,
      write: (text) => {
        err += text;
      },
    },
  });
  return { code, out, err };
}
