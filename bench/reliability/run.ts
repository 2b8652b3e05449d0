/** What the campaigns share: the command in a process of its own, and what a run leaves that has to be the same every time. */
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256 } from '../../src/base/files.ts';

const command = fileURLToPath(new URL('../../bin/search-e1.js', import.meta.url));

export interface Ended {
  /** Null when it was killed. */
  readonly code: number | null;
  readonly err: string;
}

/** Runs the command; `killAfter` ends it by SIGKILL after so many milliseconds, if it still runs. */
export function searchE1(args: readonly string[], killAfter?: number): Promise<Ended> {
  const child = spawn(process.execPath, [command, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
  let err = '';
  child.stderr.on('data', (data) => {
    err += String(data);
  });
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, err });
    });
  });
}

/**
 * Hashes of everything in a run that has to be the same for the same run. Left out: clocks (timing.json, the times in report.html and
 * state.json), and with them the numbers of checkpoints and latest.json.
 */
export async function contentsOf(run: string): Promise<Map<string, string>> {
  const contents = new Map<string, string>();
  for (const entry of await readdir(run, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const name = path.relative(run, file);
    if (['timing.json', 'report.html'].includes(name) || ['state.json', 'latest.json'].includes(entry.name)) continue;
    contents.set(name.replace(/checkpoints\/\d+/, 'checkpoints/N'), sha256(await readFile(file)));
  }
  return contents;
}

/** Names of files that only one of two runs has, or that differ. */
export function differences(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name)).sort();
}
