/**
 * The real command in its own process: stopped by Ctrl-C, killed within stages and at their boundaries, continued each time.
 * What it leaves is, bit for bit, what an undisturbed run leaves.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256 } from '../base/files.ts';
import { type Ended, runCommand } from './testing/command.ts';

/** The smallest settings that pass through every kind of stage. */
const toy = {
  world: { seed: 12, trainingQuestions: 40 },
  rollout: { concurrency: 32, searches: 2 },
  grpo: { steps: [2], questionsPerStep: 3, groupSize: 3 },
  pool: { questions: 8, rollouts: 4 },
  gate: { questions: 2 },
  distill: { pairsPerStep: 1, maxSteps: 2, adapter: { rank: 4, alpha: 8 } },
  evaluation: { questions: 1, searches: [1], decoding: ['greedy'] },
  guards: { heldOutQuestions: 2, every: 2 },
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kill-'));
  await writeFile(path.join(folder, 'toy.json'), JSON.stringify(toy));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const evolve = (args: readonly string[], stop?: Parameters<typeof runCommand>[1]) =>
  runCommand(['evolve', ...args], stop);

/** Hashes of all files but those that hold times, or (latest.json) hashes of those. */
async function contents(run: string): Promise<Record<string, string>> {
  const timed = ['timing.json', 'state.json', 'latest.json', 'report.html'];
  const hashes: Record<string, string> = {};
  for (const entry of await readdir(run, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && !timed.includes(entry.name)) hashes[path.relative(run, file)] = sha256(await readFile(file));
  }
  return hashes;
}

async function disturbed(run: string): Promise<Ended> {
  const begin = ['--preset', 'smoke', '--config', path.join(folder, 'toy.json'), '--threads', '1', '--out', run];
  const interrupted = await evolve(begin, { when: 'stage 2/7', after: 100, signal: 'SIGINT' });
  expect(interrupted).toMatchObject({ code: 130, out: '' });
  expect(interrupted.err).toContain(`Continue with: search-e1 evolve --resume ${run}`);
  // Boundaries are where a stage has just been announced; the others fall somewhere into the work.
  for (const [when, after] of [
    ['stage 2/7', 400],
    ['stage 4/7', 0],
    ['stage 6/7', 0],
    ['stage 6/7', 250],
    ['stage 7/7', 50],
  ] as const) {
    const killed = await evolve(['--resume', run], { when, after, signal: 'SIGKILL' });
    // A stage that ended before the signal came is no failure: the next sitting begins behind it.
    if (killed.code !== 0) expect(killed).toMatchObject({ code: null, signal: 'SIGKILL' });
  }
  return evolve(['--resume', run]);
}

it('leaves the same bits when it is killed again and again', async () => {
  const [whole, broken] = [path.join(folder, 'whole'), path.join(folder, 'broken')];
  const arguments_ = ['--preset', 'smoke', '--config', path.join(folder, 'toy.json'), '--threads', '1', '--out', whole];
  const [undisturbed, continued] = await Promise.all([evolve(arguments_), disturbed(broken)]);
  expect(undisturbed.code).toBe(0);
  expect(continued.code).toBe(0);
  expect(undisturbed.out).toMatch(/\n {2}E1 1 .*Next \(/s);
  const table = (text: string) => text.slice(0, text.indexOf('\nTime '));
  expect(table(continued.out)).toBe(table(undisturbed.out));
  expect(await contents(broken)).toEqual(await contents(whole));
}, 240_000);
