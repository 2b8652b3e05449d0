/** What there is to look at in a folder: a run, an evaluation, an experiment, or a folder of them. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../base/errors.ts';
import type { SourceLine } from './wire.ts';

/** How far down is looked, and how many folders at most: a home directory must not be walked through. */
const DEPTH = 3;
const MOST_FOLDERS = 2000;

export interface Source extends SourceLine {
  readonly folder: string;
}

/** @throws UserError where nothing is found */
export async function findSources(folder: string): Promise<Source[]> {
  const root = path.resolve(folder);
  if (!existsSync(root))
    throw new UserError(`${folder}: nothing is there`, {
      hint: 'Give a run, an evaluation, an experiment, or a folder of them.',
    });
  const found: Source[] = [];
  let looked = 0;
  const look = async (at: string, depth: number): Promise<void> => {
    looked += 1;
    const entries = await readdir(at, { withFileTypes: true }).catch(() => []);
    const names = new Set(entries.map(({ name }) => name));
    const kind = kindOf(names);
    if (kind !== undefined) {
      const name = path.relative(root, at).split(path.sep).join('/') || path.basename(root);
      found.push({ id: path.relative(root, at).split(path.sep).join('/') || '.', kind, name, folder: at });
      // Only experiments hold others.
      if (kind !== 'experiment') return;
    }
    if (depth === 0) return;
    const below = entries.filter((entry) => entry.isDirectory() && !/^\.|^node_modules$|\.tmp$/.test(entry.name));
    for (const { name } of below.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })))
      if (looked < MOST_FOLDERS) await look(path.join(at, name), depth - 1);
  };
  await look(root, DEPTH);
  if (found.length === 0)
    throw new UserError(`${folder}: holds no run, evaluation or experiment`, {
      hint: 'Give a directory that `search-e1 evolve`, `evaluate` or `experiment` wrote to, or a folder of such.',
    });
  return found;
}

function kindOf(names: ReadonlySet<string>): Source['kind'] | undefined {
  if (names.has('experiment.json')) return 'experiment';
  if (names.has('conditions.json')) return 'evaluation';
  return names.has('config.json') &&
    (names.has('trajectories') || names.has('checkpoints') || names.has('metrics.jsonl'))
    ? 'run'
    : undefined;
}
