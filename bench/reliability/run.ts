/** What the campaigns share: the command in a process of its own, and what a run leaves that has to be the same every time. */
import { spawn } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256 } from '../../src/base/files.ts';

const command = fileURLToPath(new URL('../../bin/search-e1.js', import.meta.url));

/** The smallest settings that pass through every kind of stage, over `--preset smoke`: a run is over in seconds. */
const small = {
  world: { trainingQuestions: 40 },
  rollout: { concurrency: 32, searches: 2 },
  grpo: { steps: [3], questionsPerStep: 3, groupSize: 3 },
  pool: { questions: 8, rollouts: 4 },
  gate: { questions: 2 },
  distill: { pairsPerStep: 1, maxSteps: 3, adapter: { rank: 4, alpha: 8 } },
  evaluation: { questions: 1, searches: [1], decoding: ['greedy'] },
  guards: { heldOutQuestions: 2, every: 2 },
};

/** The command of a new run, small or as the preset is. */
export async function newRun(folder: string, isSmall: boolean): Promise<string[]> {
  const file = path.join(folder, 'small.json');
  await writeFile(file, JSON.stringify(small));
  return ['evolve', '--preset', 'smoke', ...(isSmall ? ['--config', file] : [])];
}

export interface Ended {
  /** Null when it was killed. */
  readonly code: number | null;
  readonly err: string;
}

/**
 * Runs the command. It is ended by SIGKILL after `killAfter` milliseconds, or once `killWhen` says so (asked every few milliseconds), if it
 * still runs then.
 */
export function searchE1(
  args: readonly string[],
  { killAfter, killWhen }: { readonly killAfter?: number; readonly killWhen?: () => boolean } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [command, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
  const watch = killWhen && setInterval(() => killWhen() && child.kill('SIGKILL'), 3);
  let err = '';
  child.stderr.on('data', (data) => {
    err += String(data);
  });
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      clearInterval(watch);
      resolve({ code, err });
    });
  });
}

/**
 * Hashes of everything in a run that has to be the same for the same run. Left out: clocks (timing.json, the times in report.html and
 * state.json), and with them the numbers of checkpoints and latest.json; and what a process left half-written when it was killed.
 */
export async function contentsOf(run: string): Promise<Map<string, string>> {
  const contents = new Map<string, string>();
  for (const entry of await readdir(run, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() || file.includes('.tmp')) continue;
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
